"""What every environment offers, whatever game is behind it.

An environment gives one dictionary per agent step:

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
from typing import Any, Mapping, Union

import numpy as np

from dreamerv2.envs.quiet import import_quietly

spaces = import_quietly('gym.spaces')

Observation = dict[str, Any]
Action = Union[int, np.integer, np.ndarray]

_FLAGS = ('is_first', 'is_last', 'is_terminal')
RESERVED = ('reward', *_FLAGS, 'level', 'action', 'mask')


def bookkeeping_spaces(num_levels: int) -> dict[str, Any]:
    """Spaces of the entries that every observation has beside what the agent sees.

    Args:
        num_levels: number of levels the environment chooses from.

    Returns:
        Dictionary of scalar (shape `()`) spaces.
    """
    result = {'reward': spaces.Box(-np.inf, np.inf, (), np.float32)}
    result.update({key: spaces.Box(0, 1, (), bool) for key in _FLAGS})
    result['level'] = spaces.Box(0, max(num_levels - 1, 0), (), np.int32)
    return result


def log_space() -> Any:
    """Space of a `log_*` entry: a float32 scalar of any size."""
    return spaces.Box(-np.inf, np.inf, (), np.float32)


def check_action(space: Any, action: Action) -> Action:
    """Give the action in the type its space wants.

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
    """Base of all environments: episodes, action repeat, sticky actions and the time limit.

    A subclass sets `obs_space`, `act_space` and `levels`, and implements `_begin`, `_frame` and
    `_observe`; what those return is put together here, so that all environments agree on it.

    Args:
        seed: seed of the environment's own generator, from which sticky actions are drawn.
        action_repeat: emulator frames for each agent step.
        sticky: probability that the action executed last is executed again in place of the chosen
            one, for a whole agent step. Never at the first step of an episode. One number is drawn
            in every step, whatever the probability, so that runs with the same seed stay aligned.
        time_limit: agent steps after which an episode is cut off; 0 for none.
    """

    obs_space: dict[str, Any]
    act_space: Any
    levels: list[str]

    def __init__(
        self, *, seed: int = 0, action_repeat: int = 1, sticky: float = 0.0, time_limit: int = 0
    ):
        self.seed = seed
        self.action_repeat = action_repeat
        self.sticky = sticky
        self.time_limit = time_limit
        self._rng = np.random.default_rng(seed)
        self._over = True
        self._steps = 0
        self._executed: Any = None

    @abc.abstractmethod
    def _begin(self) -> None:
        """Start an episode."""

    @abc.abstractmethod
    def _frame(self, action: Any) -> tuple[float, bool, bool]:
        """Execute an action for one frame and return reward, terminated, truncated."""

    @abc.abstractmethod
    def _observe(self) -> Observation:
        """Observation entries of now: what the agent sees and `log_*`, in arrays of their own."""

    @abc.abstractmethod
    def describe(self) -> dict[str, Any]:
        """How the environment was made, JSON-able: name, options, versions of what is behind it."""

    def reset(self) -> Observation:
        """Start an episode, also in the middle of one, and return its first observation."""
        self._begin()
        self._steps = 0
        self._executed = None
        self._over = False
        return self._assemble(0.0, is_first=True, is_last=False, is_terminal=False)

    def step(self, action: Action) -> Observation:
        """Execute an action for `action_repeat` frames, fewer when the episode ends.

        Args:
            action: int for a discrete space, float array for a box.

        Returns:
            The observation after it.

        Raises:
            RuntimeError: no episode is running.
            ValueError: the action does not fit `act_space`.
        """
        if self._over:
            raise RuntimeError('the episode is over (or none was started): call reset() first')
        action = check_action(self.act_space, action)
        repeated = self._rng.random() < self.sticky
        if repeated and self._executed is not None:
            action = self._executed
        self._executed = action
        reward, terminated, truncated = 0.0, False, False
        for _ in range(self.action_repeat):
            frame_reward, terminated, truncated = self._frame(action)
            reward += frame_reward
            if terminated or truncated:
                break
        self._steps += 1
        if self.time_limit and self._steps >= self.time_limit:
            truncated = True
        self._over = bool(terminated or truncated)
        return self._assemble(
            reward, is_first=False, is_last=self._over, is_terminal=bool(terminated)
        )

    def close(self) -> None:
        """Free what the environment holds. Calling it again does nothing."""
        self._over = True

    def get_state(self) -> dict[str, Any]:
        """State of the random numbers, JSON-able. The episode being played is not part of it."""
        return {'rng': self._rng.bit_generator.state}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Take the state that `get_state` gave; the next call must be `reset`."""
        self._rng.bit_generator.state = state['rng']
        self._over = True

    def options(self) -> dict[str, Any]:
        """The options that all environments have, for `describe`."""
        return {
            'seed': self.seed,
            'action_repeat': self.action_repeat,
            'sticky': self.sticky,
            'time_limit': self.time_limit,
        }

    def _assemble(self, reward: float, **flags: bool) -> Observation:
        observation = self._observe()
        observation['reward'] = np.float32(reward)
        observation.update({key: np.bool_(value) for key, value in flags.items()})
        observation['level'] = np.int32(0)
        return observation
