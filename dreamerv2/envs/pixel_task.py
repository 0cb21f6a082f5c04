"""A tiny pixel task that a small agent learns in about a minute, for tests and first steps.

A white block moves on a track of 6 cells, left, right or not at all. A gray column marks the
target, the left or the right end of the track. The reward falls linearly from 1 at the target to -1
at the other end. A bar at the bottom shows the time left; when it runs out the episode terminates.
"""

from typing import Any

import numpy as np

from dreamerv2.envs.contract import Observation, bookkeeping_spaces, log_space, spaces
from dreamerv2.envs.episodic import EpisodicEnvironment, shrink, versions

_CELLS = 6
_LENGTH = 16
_PIXELS = 64
_MOVES = np.array([-1, 1, 0])  # left, right, stay


def step_reward(position: np.ndarray | int, target: np.ndarray | int) -> np.ndarray:
    """Reward of a position, float64: linear from 1 at the target to -1 at the other end."""
    return 1 - 2 * np.abs(np.asarray(position) - target) / (_CELLS - 1)


def expected_returns(length: int = _LENGTH) -> tuple[float, float]:
    """Expected returns of uniformly random and of the best actions in episodes of a length.

    One move an action, no sticky ones; by dynamic programming over the cells.
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


def draw(position: int, target: int, time_left: float) -> np.ndarray:
    """The picture of a state, uint8 `[64, 64, 1]`.

    Args:
        position: the block's cell.
        target: the column's cell.
        time_left: fraction of the episode left, 1 to 0; the bar's length.
    """
    cell = _PIXELS // _CELLS
    image = np.zeros((_PIXELS, _PIXELS, 1), np.uint8)
    image[:, target * cell : (target + 1) * cell] = 100
    image[16:48, position * cell : (position + 1) * cell] = 255
    image[60:] = 0
    image[60:, : round(_PIXELS * time_left)] = 180
    return image


class PixelTask(EpisodicEnvironment):
    """The task above: 16 steps, 3 actions; random play returns -1.5, the best 14.4.

    Args:
        **options: see `EpisodicEnvironment`.
    """

    def __init__(self, **options: Any):
        super().__init__(**options)
        self.random_return, self.optimal_return = expected_returns()
        self._position = self._target = 0
        self._frames = 0
        self.levels = ['pixel']
        self.act_space = spaces.Discrete(len(_MOVES))
        self.obs_space = {
            'image': self.image_space(),
            **bookkeeping_spaces(1),
            'log_distance': log_space(),
        }

    def render(self) -> np.ndarray:
        """The picture at 256 x 256, uint8 with three channels."""
        return np.kron(self._draw(), np.ones((4, 4, 3), np.uint8))

    def describe(self) -> dict[str, Any]:
        return {'name': 'pixel', 'options': self.options(), 'packages': versions('numpy')}

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
        image = shrink(self._draw(), self.size, grayscale=True)
        return {
            'image': image if self.grayscale else np.repeat(image, 3, axis=2),
            'log_distance': np.float32(abs(self._position - self._target)),
        }

    def _draw(self) -> np.ndarray:
        return draw(self._position, self._target, 1 - self._frames / _LENGTH)
