"""The interface of every environment, whatever the game, and a check of it by playing.

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
import functools
import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from dreamerv2.quiet import import_quietly

spaces = import_quietly('gym.spaces')

Observation = dict[str, Any]
Action = int | np.integer | np.ndarray

_FLAGS = ('is_first', 'is_last', 'is_terminal')
RESERVED = ('reward', *_FLAGS, 'level', 'action', 'mask')


def bookkeeping_spaces(num_levels: int) -> dict[str, Any]:
    """Scalar spaces of the entries that every observation has besides what the agent sees."""
    return {
        'reward': spaces.Box(-np.inf, np.inf, (), np.float32),
        **{key: spaces.Box(0, 1, (), bool) for key in _FLAGS},
        'level': spaces.Box(0, num_levels - 1, (), np.int32),
    }


def log_space(*shape: int) -> Any:
    """Space of a `log_*` entry: float32 of any size, a scalar unless a shape is given."""
    return spaces.Box(-np.inf, np.inf, shape, np.float32)


def check_action(space: Any, action: Action) -> Action:
    """The action as a Python int (`Discrete`), or as a float32 array clipped to the `Box`.

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


class ContractError(AssertionError):
    """An environment violates the contract; the message says how."""


def expect(condition: Any, message: str) -> None:
    """Raise ContractError with the message unless the condition holds."""
    if not condition:
        raise ContractError(message)


def expect_error(kind: type[Exception], function: Callable[[], Any], what: str) -> None:
    """Raise ContractError unless calling the function raises this kind of error."""
    try:
        function()
    except kind:
        return
    raise ContractError(f'{what}: expected {kind.__name__}, none was raised')


def check_env(env: Environment, *, episodes: int = 2, max_steps: int = 200) -> None:
    """Play random episodes and check everything that the contract promises.

    Args:
        env: any environment; it is reset before and during play, and not closed.
        episodes: number of episodes, each played twice (again from the same state).
        max_steps: after which an episode is abandoned for the next one.

    Raises:
        ContractError: the contract is violated.
    """
    _check_spaces(env)
    description = env.describe()
    expect(json.loads(json.dumps(description)) == description, 'describe() is not JSON-able')
    for key in ('name', 'options', 'packages'):
        expect(key in description, f'describe() lacks {key!r}')
    expect_error(RuntimeError, lambda: env.step(sample_action(env)), 'step() before reset()')
    state = json.loads(json.dumps(env.get_state()))
    played = [_play(env, max_steps, episode) for episode in range(episodes)]
    env.set_state(state)
    expect_error(RuntimeError, lambda: env.step(sample_action(env)), 'step() after set_state()')
    for episode, before in enumerate(played):
        again = _play(env, max_steps, episode)
        expect(len(before) == len(again), 'from the same state an episode has another length')
        for step, (one, other) in enumerate(zip(before, again, strict=True)):
            for key in one:
                same = np.array_equal(one[key], other[key])
                expect(same, f'from the same state {key!r} differs at step {step}')
    _check_bad_actions(env)


def sample_action(env: Environment, generator: np.random.Generator | None = None) -> Any:
    """A uniformly random action."""
    generator = generator or np.random.default_rng(0)
    if isinstance(env.act_space, spaces.Discrete):
        return int(generator.integers(env.act_space.n))
    return generator.uniform(-1, 1, env.act_space.shape).astype(np.float32)


def check_observation(env: Environment, observation: Observation, *, first: bool) -> None:
    """Check keys, types, shapes and flags of one observation; raise ContractError."""
    expect(
        observation.keys() == env.obs_space.keys(),
        f'keys {sorted(observation)} are not those of obs_space, {sorted(env.obs_space)}',
    )
    for key, space in env.obs_space.items():
        value = observation[key]
        expect(isinstance(value, (np.ndarray, np.generic)), f'{key!r} is a {type(value).__name__}')
        expect(value.dtype == space.dtype, f'{key!r} is {value.dtype}, not {space.dtype}')
        expect(value.shape == space.shape, f'{key!r} has shape {value.shape}, not {space.shape}')
        expect(np.isfinite(value).all(), f'{key!r} is not finite')
        inside = (value >= space.low).all() and (value <= space.high).all()
        expect(inside, f'{key!r} is outside of its space')
    expect(observation['is_first'] == first, f'is_first is {not first} at the wrong step')
    expect(observation['is_last'] or not observation['is_terminal'], 'is_terminal without is_last')
    if first:
        expect(observation['reward'] == 0, 'the first reward of an episode is not 0')
        expect(not observation['is_last'], 'an episode ends at its first observation')


def _play(env: Environment, max_steps: int, seed: int) -> list[dict[str, Any]]:
    generator = np.random.default_rng(seed)
    observation = env.reset()
    check_observation(env, observation, first=True)
    kept = [{key: np.array(value) for key, value in observation.items()}]
    while not observation['is_last'] and len(kept) <= max_steps:
        previous = observation
        observation = env.step(sample_action(env, generator))
        check_observation(env, observation, first=False)
        for key, value in previous.items():
            expect(np.array_equal(value, kept[-1][key]), f'{key!r} changed after it was returned')
        expect(observation['level'] == kept[0]['level'], 'the level changes within an episode')
        kept.append({key: np.array(value) for key, value in observation.items()})
    if observation['is_last']:
        action = sample_action(env)
        expect_error(RuntimeError, lambda: env.step(action), 'step() after the end')
    return kept


def _check_spaces(env: Environment) -> None:
    always = bookkeeping_spaces(1)
    missing = [key for key in always if key not in env.obs_space]
    expect(not missing, f'obs_space lacks {missing}')
    seen = [key for key in env.obs_space if key not in always and not key.startswith('log_')]
    expect(seen, 'obs_space has nothing that the agent sees')
    for key, space in env.obs_space.items():
        expect(isinstance(space, spaces.Box), f'the space of {key!r} is not a Box but {space}')
    for key in seen:
        picture = len(env.obs_space[key].shape) == 3 and env.obs_space[key].dtype == np.uint8
        vector = len(env.obs_space[key].shape) == 1 and env.obs_space[key].dtype == np.float32
        expect(picture or vector, f'{key!r} is neither a picture nor a vector')
    if isinstance(env.act_space, spaces.Box):
        bounds = (env.act_space.low == -1).all() and (env.act_space.high == 1).all()
        expect(bounds and len(env.act_space.shape) == 1, 'box actions are not a vector in [-1, 1]')
    else:
        expect(isinstance(env.act_space, spaces.Discrete), 'act_space is neither Discrete nor Box')
    expect(len(set(env.levels)) == len(env.levels) > 0, f'levels {env.levels} are not distinct')
    expect(env.obs_space['level'].high == len(env.levels) - 1, 'level does not index levels')
    expect(env.action_repeat >= 1, f'action_repeat is {env.action_repeat}')


def _check_bad_actions(env: Environment) -> None:
    env.reset()
    if isinstance(env.act_space, spaces.Discrete):
        bad = [-1, env.act_space.n, 0.5, np.zeros(env.act_space.n)]
    else:
        size = env.act_space.shape[0]
        bad = [np.zeros(size + 1), np.full(size, np.nan), 'left']
    for action in bad:
        expect_error(ValueError, functools.partial(env.step, action), f'step({action!r})')
