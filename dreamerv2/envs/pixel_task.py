"""A tiny pixel task that a small agent learns in about a minute, for tests and first steps.

A white block moves on a track of 6 cells, left, right or not at all. A gray column marks the
target, the left or the right end of the track. The reward falls linearly from 1 at the target to -1
at the other end. A bar at the bottom shows the time left; when it runs out the episode terminates.
"""

import importlib.metadata
from typing import Any

import numpy as np

from dreamerv2.envs.contract import Observation, bookkeeping_spaces, log_space, spaces
from dreamerv2.envs.episodic import EpisodicEnvironment
from dreamerv2.envs.image import shrink

_CELLS = 6
_LENGTH = 16
_PIXELS = 64
_MOVES = np.array([-1, 1, 0])  # left, right, stay


def step_reward(position: np.ndarray | int, target: np.ndarray | int) -> np.ndarray:
    """Reward of a position: from 1 at the target to -1 at the other end.

    Args:
        position: cell, `[...]`.
        target: cell, `[...]`.

    Returns:
        float64 `[...]`, linear in the distance.
    """
    return 1 - 2 * np.abs(np.asarray(position) - target) / (_CELLS - 1)


def expected_returns(length: int = _LENGTH) -> tuple[float, float]:
    """Expected return of random and of optimal play, by dynamic programming over the cells.

    Args:
        length: steps in an episode.

    Returns:
        Return of uniformly random actions, and of the best actions.
    """
    target = 0  # the ends are symmetric
    following = np.clip(np.arange(_CELLS)[:, None] + _MOVES, 0, _CELLS - 1)  # [cells, moves]
    rewards = step_reward(following, target)
    random_value = optimal_value = np.zeros(_CELLS)
    for _ in range(length):
        random_value = (rewards + random_value[following]).mean(-1)
        optimal_value = (rewards + optimal_value[following]).max(-1)
    starts = np.arange(_CELLS) != target
    return float(random_value[starts].mean()), float(optimal_value[starts].mean())


def draw(position: int, target: int, time_left: float, size: int = _PIXELS) -> np.ndarray:
    """The picture of a state.

    Args:
        position: the block's cell.
        target: the column's cell.
        time_left: fraction of the episode left, 1 to 0; the bar's length.
        size: height and width in pixels.

    Returns:
        uint8 `[size, size, 1]`.
    """
    bar, cell = size // 16, size // _CELLS
    image = np.zeros((size, size, 1), np.uint8)
    image[:, target * cell : (target + 1) * cell] = 100
    image[size // 4 : size * 3 // 4, position * cell : (position + 1) * cell] = 255
    image[size - bar :] = 0
    image[size - bar :, : round(size * time_left)] = 180
    return image


class PixelTask(EpisodicEnvironment):
    """The task above: 16 steps, 3 actions; random play returns -1.5, the best 14.4.

    Args:
        size: (height, width) of the image.
        grayscale: one channel, or three equal ones.
        action_repeat: moves per agent step.
        sticky: see `EpisodicEnvironment`.
        time_limit: agent steps after which an episode is cut off before its own end; 0 for none.
        seed: of start and target of every episode.
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
        self._position = self._target = 0
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
        self._target = int(self._rng.integers(2)) * (_CELLS - 1)
        self._position = (self._target + 1 + int(self._rng.integers(_CELLS - 1))) % _CELLS

    def _frame(self, action: int) -> tuple[float, bool, bool]:
        self._position = min(max(self._position + int(_MOVES[action]), 0), _CELLS - 1)
        self._frames += 1
        reward = float(step_reward(self._position, self._target))
        return reward, self._frames >= _LENGTH, False

    def _observe(self) -> Observation:
        image = shrink(self._draw(), self._size, grayscale=True)
        return {
            'image': image if self._grayscale else np.repeat(image, 3, axis=2),
            'log_distance': np.float32(abs(self._position - self._target)),
        }

    def _draw(self) -> np.ndarray:
        return draw(self._position, self._target, 1 - self._frames / _LENGTH)
