"""Any Gym or Gymnasium environment, by id or as an object."""

import importlib.metadata
import inspect
from typing import Any

import numpy as np

from dreamerv2.envs.contract import Observation, bookkeeping_spaces
from dreamerv2.envs.episodic import EpisodicEnvironment
from dreamerv2.envs.gym_registry import make_by_id
from dreamerv2.envs.gym_spaces import action_space, observation_space
from dreamerv2.errors import UsageError


def split_reset(result: Any) -> Any:
    """The observation in what `reset` returned: itself (old interface) or `(observation, info)`."""
    if isinstance(result, tuple) and len(result) == 2 and isinstance(result[1], dict):
        return result[0]
    return result


def split_step(result: tuple) -> tuple[Any, float, bool, bool]:
    """What `step` returned, in one form.

    Args:
        result: `(observation, reward, done, info)`, where `info['TimeLimit.truncated']` tells a
            time limit from an ending, or `(observation, reward, terminated, truncated, info)`.

    Returns:
        observation, reward, terminated, truncated.

    Raises:
        UsageError: another number of entries.
    """
    if len(result) == 5:
        observation, reward, terminated, truncated, _ = result
        return observation, float(reward), bool(terminated), bool(truncated)
    if len(result) == 4:
        observation, reward, done, info = result
        cut_off = bool(done) and bool((info or {}).get('TimeLimit.truncated', False))
        return observation, float(reward), bool(done) and not cut_off, cut_off
    raise UsageError(f'step() returned {len(result)} values: expected 4 (Gym) or 5 (Gymnasium)')


def takes_seed(env: Any) -> bool:
    """Whether `reset` takes a seed, looked up behind wrappers, which pass anything on."""
    inner = getattr(env, 'unwrapped', env)
    return all(_has_argument(candidate.reset, 'seed') for candidate in (env, inner))


class GymEnv(EpisodicEnvironment):
    """A Gym or Gymnasium environment behind this project's interface.

    Old (4 values) and new (5 values) `step`, `reset` with or without info; see
    `gym_spaces.observation_space` and `gym_spaces.action_space` for what is seen and done. Every
    episode is seeded with a number drawn from this environment's generator, so that its state is
    all that is needed to go on.

    Args:
        env: an id, such as `CartPole-v1`, or an object.
        name: what to call an object, the level's name in logs; an id is its own name.
        size: (height, width) to which pictures are resized.
        grayscale: whether pictures in colour become gray.
        action_repeat: steps of the environment for each agent step.
        sticky: see `EpisodicEnvironment`.
        time_limit: agent steps after which an episode is cut off, beside the environment's own.
        seed: everything random follows from it.

    Raises:
        UsageError: no such id, or spaces that the agent cannot use.
    """

    def __init__(
        self,
        env: Any,
        *,
        name: str | None = None,
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
        self._library = None
        if isinstance(env, str):
            name = name or env
            env, self._library = make_by_id(env)
        for attribute in ('observation_space', 'action_space', 'reset', 'step'):
            if not hasattr(env, attribute):
                raise UsageError(
                    f'{type(env).__name__} has no {attribute}: expected a Gym or Gymnasium '
                    'environment'
                )
        self._env = env
        self._closed = False
        self._size = (int(size[0]), int(size[1]))
        self._grayscale = grayscale
        self._seeds_reset = takes_seed(env)
        self._latest: Any = None
        seen, self._convert = observation_space(env.observation_space, self._size, grayscale)
        self.act_space, self._to_action = action_space(env.action_space)
        self.obs_space = {**seen, **bookkeeping_spaces(1)}
        self.levels = [name or _name_of(env)]

    def render(self) -> np.ndarray | None:
        """The latest picture that the environment gave, in colour if it is; None without one."""
        image = self._convert(self._latest).get('image') if self._latest is not None else None
        if image is None or image.shape[2] not in (1, 3):
            return None
        return np.repeat(image, 3, axis=2) if image.shape[2] == 1 else image

    def close(self) -> None:
        super().close()
        if not self._closed:
            self._closed = True
            if hasattr(self._env, 'close'):
                self._env.close()

    def describe(self) -> dict[str, Any]:
        packages = ['opencv-python-headless']
        if self._library is not None:
            packages.append(self._library.__name__)
        inner = type(getattr(self._env, 'unwrapped', self._env))
        return {
            'name': f'gym_{self.levels[0]}',
            'class': f'{inner.__module__}.{inner.__qualname__}',
            'options': {**self.options(), 'size': list(self._size), 'grayscale': self._grayscale},
            'packages': {name: importlib.metadata.version(name) for name in packages},
        }

    def _begin(self) -> None:
        seed = int(self._rng.integers(2**31))
        if self._seeds_reset:
            self._latest = split_reset(self._env.reset(seed=seed))
            return
        if hasattr(self._env, 'seed'):
            self._env.seed(seed)
        self._latest = split_reset(self._env.reset())

    def _frame(self, action: Any) -> tuple[float, bool, bool]:
        result = split_step(self._env.step(self._to_action(action)))
        self._latest = result[0]
        return result[1:]

    def _observe(self) -> Observation:
        return dict(self._convert(self._latest))


def _has_argument(function: Any, name: str) -> bool:
    parameters = inspect.signature(function).parameters
    return name in parameters or any(
        parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values()
    )


def _name_of(env: Any) -> str:
    spec = getattr(env, 'spec', None)
    return getattr(spec, 'id', None) or type(getattr(env, 'unwrapped', env)).__name__
