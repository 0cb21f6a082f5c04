"""A tiny task in pixels that a small agent learns in about a minute, for tests and first steps.

A white square moves over a grid of 4 x 4 cells, up, down, left or right. A gray frame marks the
target, one of the four corners. Each step gives 1 at the target and less the farther away, down to
-1 in the opposite corner. A bar at the bottom shows the time that is left; when it is used up, the
episode ends, terminally.
"""

import importlib.metadata
from typing import Any

import numpy as np

from dreamerv2.envs.contract import Observation, bookkeeping_spaces, log_space, spaces
from dreamerv2.envs.episodic import EpisodicEnvironment
from dreamerv2.envs.image import shrink

_GRID = 4
_LENGTH = 16
_PIXELS = 64
_MOVES = np.array([(-1, 0), (1, 0), (0, -1), (0, 1)])  # up, down, left, right, as (row, column)
_CORNERS = np.array([(0, 0), (0, _GRID - 1), (_GRID - 1, 0), (_GRID - 1, _GRID - 1)])


def step_reward(position: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Reward of being somewhere: from 1 at the target to -1 in the opposite corner.

    Args:
        position: row and column, `[..., 2]`.
        target: row and column, `[..., 2]`.

    Returns:
        float64 `[...]`, linear in the number of moves to the target.
    """
    distance = np.abs(position - target).sum(-1)
    return 1 - distance / (_GRID - 1)


def expected_returns(length: int = _LENGTH) -> tuple[float, float]:
    """Expected return of random and of optimal play, by dynamic programming over the grid.

    Args:
        length: steps in an episode.

    Returns:
        Return of uniformly random actions, and of the best actions.
    """
    cells = np.stack(np.meshgrid(np.arange(_GRID), np.arange(_GRID), indexing='ij'), -1)
    target = _CORNERS[0]  # the corners are alike
    following = np.clip(cells[:, :, None] + _MOVES, 0, _GRID - 1)  # [rows, columns, moves, 2]
    rewards = step_reward(following, target)
    rows, columns = following[..., 0], following[..., 1]
    random_value = optimal_value = np.zeros((_GRID, _GRID))
    for _ in range(length):
        random_value = (rewards + random_value[rows, columns]).mean(-1)
        optimal_value = (rewards + optimal_value[rows, columns]).max(-1)
    start = np.abs(cells - target).sum(-1) > 0
    return float(random_value[start].mean()), float(optimal_value[start].mean())


def draw(
    position: np.ndarray, target: np.ndarray, time_left: float, size: int = _PIXELS
) -> np.ndarray:
    """The picture of a state.

    Args:
        position: row and column of the square.
        target: row and column of the frame.
        time_left: share of the episode that is left, 1 to 0; the bar's length.
        size: height and width in pixels.

    Returns:
        uint8 `[size, size, 1]`.
    """
    bar = size // 16
    cell = (size - bar) // _GRID
    image = np.zeros((size, size, 1), np.uint8)
    top, left = target * cell
    image[top : top + cell, left : left + cell] = 128
    image[top + 2 : top + cell - 2, left + 2 : left + cell - 2] = 40
    top, left = position * cell
    image[top + 3 : top + cell - 3, left + 3 : left + cell - 3] = 255
    image[size - bar :, : round(size * time_left)] = 200
    return image


class PixelTask(EpisodicEnvironment):
    """The task above: 16 steps, 4 actions, random play returns about 0 and the best about 14.5.

    Args:
        size: (height, width) of the image.
        grayscale: one channel, or three that are alike.
        action_repeat: moves for each agent step.
        sticky: see `EpisodicEnvironment`.
        time_limit: agent steps after which an episode is cut off before its own end; 0 for none.
        seed: start and target of every episode follow from it.
    """

    def __init__(
        self,
        *,
        size: tuple[int, int] = (64, 64),
        grayscale: bool = True,
        action_repeat: int = 1,
        sticky: float = 0.0,
        time_limit: int = 0,
        seed: int = 0,
    ):
        super().__init__(
            seed=seed, action_repeat=action_repeat, sticky=sticky, time_limit=time_limit
        )
        self._size = (int(size[0]), int(size[1]))
        self._grayscale = grayscale
        self._position = self._target = np.zeros(2, int)
        self._frames = 0
        self.levels = ['pixel']
        self.act_space = spaces.Discrete(len(_MOVES))
        self.obs_space = {
            'image': spaces.Box(0, 255, (*self._size, 1 if grayscale else 3), np.uint8),
            **bookkeeping_spaces(1),
            'log_distance': log_space(),
        }

    @property
    def random_return(self) -> float:
        """Expected return of uniformly random actions (one move an action, no sticky ones)."""
        return expected_returns()[0]

    @property
    def optimal_return(self) -> float:
        """Expected return of the best actions (one move an action, no sticky ones)."""
        return expected_returns()[1]

    def render(self) -> np.ndarray:
        """The picture at 256 x 256, uint8 with three channels."""
        return np.kron(self._draw(), np.ones((4, 4, 3), np.uint8))

    def describe(self) -> dict[str, Any]:
        return {
            'name': 'pixel',
            'options': {**self.options(), 'size': list(self._size), 'grayscale': self._grayscale},
            'packages': {'numpy': importlib.metadata.version('numpy')},
        }

    def _begin(self) -> None:
        self._frames = 0
        self._target = _CORNERS[self._rng.integers(len(_CORNERS))]
        offset = 1 + self._rng.integers(_GRID**2 - 1)  # any other cell
        index = (self._target @ (_GRID, 1) + offset) % _GRID**2
        self._position = np.array(divmod(int(index), _GRID))

    def _frame(self, action: int) -> tuple[float, bool, bool]:
        self._position = np.clip(self._position + _MOVES[action], 0, _GRID - 1)
        self._frames += 1
        reward = float(step_reward(self._position, self._target))
        return reward, self._frames >= _LENGTH, False

    def _observe(self) -> Observation:
        image = shrink(self._draw(), self._size, grayscale=True)
        return {
            'image': image if self._grayscale else np.repeat(image, 3, axis=2),
            'log_distance': np.float32(np.abs(self._position - self._target).sum()),
        }

    def _draw(self) -> np.ndarray:
        return draw(self._position, self._target, 1 - self._frames / _LENGTH)
