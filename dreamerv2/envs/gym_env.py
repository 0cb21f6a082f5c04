"""Any Gym or Gymnasium environment, by id or as an object."""

import importlib.metadata
from typing import Any

import numpy as np

from dreamerv2.envs import gym_interface
from dreamerv2.envs.contract import Observation, bookkeeping_spaces
from dreamerv2.envs.episodic import EpisodicEnvironment, ResumableEnv
from dreamerv2.envs.gym_registry import make_by_id, why
from dreamerv2.envs.gym_spaces import action_line, action_space, view
from dreamerv2.envs.image import as_rgb
from dreamerv2.errors import UsageError


class GymEnv(EpisodicEnvironment):
    """A Gym or Gymnasium environment behind this project's interface.

    Old (4 values) and new (5 values) `step`, `reset` with or without info (`gym_interface`);
    observations and actions are decided in `gym_spaces`. Every episode is seeded with a number
    drawn from this environment's generator, so that its state is all that is needed to resume.

    Args:
        env: an id, such as `CartPole-v1`, or an object.
        name: what to call an object, the level's name in logs; an id is its own name.
        size: (height, width) to which pictures are resized.
        grayscale: whether pictures in colour become gray.
        action_repeat: steps of the environment per agent step.
        sticky: see `EpisodicEnvironment`.
        time_limit: agent steps after which an episode is cut off, besides the environment's own.
        seed: of everything random.

    Raises:
        UsageError: no such id, or an environment that the agent cannot use.
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
        _check_single(env)
        gym_interface.modernize(env)
        self._env = env
        self._closed = False
        self._size = (int(size[0]), int(size[1]))
        self._grayscale = grayscale
        self._latest: Any = None
        self._view = view(env.observation_space, self._size, grayscale)
        self.act_space, self._to_action = action_space(env.action_space)
        self.obs_space = {**self._view.spaces, **bookkeeping_spaces(1)}
        self.levels = [name or name_of(env)]

    def probe(self) -> None:
        """Play the first step of an episode, without changing later episodes.

        Raises:
            UsageError: the environment fails, or does not match its spaces.
        """
        state = self.get_state()
        checked = ResumableEnv(self)  # It refuses non-finite values.
        during = 'reset'
        try:
            checked.reset()
            during = 'step'
            discrete = hasattr(self.act_space, 'n')
            checked.step(0 if discrete else np.zeros(self.act_space.shape, np.float32))
        except UsageError as error:
            raise UsageError(f'{self.levels[0]}: {error}') from error
        except (Exception, SystemExit) as error:  # Foreign code, as in `make_by_id`.
            raise UsageError(f'{self.levels[0]}: its {during}() failed, {why(error)}') from error
        finally:
            self.set_state(state)

    def render(self) -> np.ndarray | None:
        """The environment's latest picture, in colour if it has it; None without one."""
        if self._latest is None or 'image' not in self._view.entries:
            return None
        image = self._view.convert(self._latest)['image']
        return as_rgb(image) if image.ndim == 3 else None

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
        overview = [*self._view.lines(), action_line(self._env.action_space, self.act_space)]
        if not gym_interface.takes_seed(self._env):
            overview.append('It takes no seed: its episodes differ from run to run.')
        return {
            'name': f'{"own" if self._library is None else "gym"}_{self.levels[0]}',
            'class': f'{inner.__module__}.{inner.__qualname__}',
            'options': {**self.options(), 'size': list(self._size), 'grayscale': self._grayscale},
            'packages': {name: importlib.metadata.version(name) for name in packages},
            'overview': overview,
        }

    def _begin(self) -> None:
        self._latest = gym_interface.reset(self._env, int(self._rng.integers(2**31)))

    def _frame(self, action: Any) -> tuple[float, bool, bool]:
        result = gym_interface.split_step(self._env.step(self._to_action(action)))
        self._latest = result[0]
        return result[1:]

    def _observe(self) -> Observation:
        return dict(self._view.convert(self._latest, self._steps))


def name_of(env: Any) -> str:
    """An environment's own name: the id that it was registered by, or its class."""
    spec = getattr(env, 'spec', None)
    return getattr(spec, 'id', None) or type(getattr(env, 'unwrapped', env)).__name__


def _check_single(env: Any) -> None:
    """Raises UsageError for what is not one environment."""
    if isinstance(env, type):
        raise UsageError(f'{env.__name__} is a class: pass an environment, {env.__name__}()')
    for attribute in ('observation_space', 'action_space', 'reset', 'step'):
        if not hasattr(env, attribute):
            raise UsageError(
                f'{type(env).__name__} has no {attribute}: expected a Gym or Gymnasium environment'
            )
    several = getattr(env, 'num_envs', None)
    marks = ('single_observation_space', 'single_action_space', 'step_wait')
    if several is not None and (several != 1 or any(hasattr(env, mark) for mark in marks)):
        raise UsageError(
            f'{type(env).__name__} is a vector of {several} environments: pass one of them '
            '(several at once are for tasks by name, with --envs)'
        )
