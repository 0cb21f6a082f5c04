"""The interface of every environment, whatever the game.

An environment returns one dictionary per agent step:

| key | type | meaning |
| --- | --- | --- |
| `image` (and/or vector keys) | uint8 `[height, width, channels]` | what the agent sees |
| `reward` | float32 | sum over the frames of the step; 0 at a reset |
| `is_first` | bool | the observation of a reset |
| `is_last` | bool | the episode is over; the next call must be `reset` |
| `is_terminal` | bool | ... because it truly ended; false when it was cut off by a time limit |
| `level` | int32 | which entry of `levels` is played; never shown to the agent |
| `log_*` | float32 | recorded, not learned from |
"""

import abc
from collections.abc import Mapping
from typing import Any

import numpy as np

from dreamerv2.quiet import import_quietly

spaces = import_quietly('gym.spaces')

Observation = dict[str, Any]
Action = int | np.integer | np.ndarray

_FLAGS = ('is_first', 'is_last', 'is_terminal')
RESERVED = ('reward', *_FLAGS, 'level', 'action', 'mask')


def bookkeeping_spaces(num_levels: int) -> dict[str, Any]:
    """Spaces of the entries that every observation has besides what the agent sees.

    Args:
        num_levels: number of levels the environment chooses from.

    Returns:
        Dictionary of scalar (shape `()`) spaces.
    """
    result = {'reward': spaces.Box(-np.inf, np.inf, (), np.float32)}
    result.update({key: spaces.Box(0, 1, (), bool) for key in _FLAGS})
    result['level'] = spaces.Box(0, max(num_levels - 1, 0), (), np.int32)
    return result


def log_space(*shape: int) -> Any:
    """Space of a `log_*` entry: float32 of any size, a scalar unless a shape is given."""
    return spaces.Box(-np.inf, np.inf, shape, np.float32)


def check_action(space: Any, action: Action) -> Action:
    """Convert the action to the type of its space.

    Args:
        space: `Discrete` or `Box` action space.
        action: an integer for `Discrete`, an array of the space's shape for `Box`.

    Returns:
        A Python int, or a float32 array clipped to the space.

    Raises:
        ValueError: the action has another type or shape, is out of range or not finite.
    """
    if isinstance(space, spaces.Discrete):
        array = np.asarray(action)
        if array.shape != () or not np.issubdtype(array.dtype, np.integer):
            raise ValueError(f'expected an integer action below {space.n}, got {action!r}')
        if not 0 <= int(array) < space.n:
            raise ValueError(f'expected an action from 0 to {space.n - 1}, got {int(array)}')
        return int(array)
    array = np.asarray(action, np.float32)
    if array.shape != space.shape or not np.isfinite(array).all():
        raise ValueError(f'expected a finite action of shape {space.shape}, got {action!r}')
    return np.clip(array, space.low, space.high)


class Environment(abc.ABC):
    """What the rest of the program may use of an environment.

    Attributes:
        obs_space: name -> Gym space, exactly the keys of every observation.
        act_space: one Gym space: `Discrete`, or `Box` of one axis with bounds -1 and 1.
        levels: names of what can be played, indexed by an observation's `level`.
        action_repeat: emulator frames for each agent step.
    """

    obs_space: dict[str, Any]
    act_space: Any
    levels: list[str]
    action_repeat: int = 1

    @abc.abstractmethod
    def reset(self) -> Observation:
        """Start an episode, even in the middle of one, and return its first observation."""

    @abc.abstractmethod
    def step(self, action: Action) -> Observation:
        """Act for one agent step.

        Args:
            action: int for a discrete space, float array for a box.

        Returns:
            The observation after it.

        Raises:
            RuntimeError: no episode is running.
            ValueError: the action does not fit `act_space`.
        """

    @abc.abstractmethod
    def get_state(self) -> dict[str, Any]:
        """State of the random numbers, JSON-able. The episode being played is not part of it."""

    @abc.abstractmethod
    def set_state(self, state: Mapping[str, Any]) -> None:
        """Restore the state from `get_state`; the next call must be `reset`."""

    @abc.abstractmethod
    def describe(self) -> dict[str, Any]:
        """How it was made, JSON-able: `name`, `options`, and versions of its packages.

        `overview` may hold lines to print at the start of a run.
        """

    def render(self) -> np.ndarray | None:
        """The screen for people, uint8 `[height, width, 3]`; None if there is none."""
        return None

    @abc.abstractmethod
    def close(self) -> None:
        """Free what the environment holds. Calling it again does nothing."""
