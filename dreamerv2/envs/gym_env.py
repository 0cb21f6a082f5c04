"""Any Gym or Gymnasium environment, by id or as an object."""

import os
import sys
import traceback
from types import ModuleType
from typing import Any

import numpy as np

from dreamerv2 import plugins
from dreamerv2.cli import nearest
from dreamerv2.envs import gym_interface
from dreamerv2.envs.contract import Observation, bookkeeping_spaces
from dreamerv2.envs.episodic import EpisodicEnvironment, ResumableEnv, as_rgb, versions
from dreamerv2.envs.gym_spaces import action_line, action_space, view
from dreamerv2.errors import UsageError, printable, shown
from dreamerv2.quiet import import_quietly, quiet

_REGISTER_HINT = (
    'register an id whose kwargs give them, or pass the environment to dreamerv2.api.train'
)


class GymEnv(EpisodicEnvironment):
    """A Gym or Gymnasium environment behind this project's interface.

    Old (4 values) and new (5 values) `step`, `reset` with or without info (`gym_interface`);
    observations and actions are decided in `gym_spaces`. Every episode is seeded with a number
    drawn from this environment's generator, so that its state is all that is needed to resume.

    Args:
        env: an id, such as `CartPole-v1`, or an object.
        name: what to call an object, the level's name in logs; an id is its own name.
        family: of the task.
        **options: see `EpisodicEnvironment`. The environment's own time limit counts besides.

    Raises:
        UsageError: no such id, or an environment that the agent cannot use.
    """

    def __init__(self, env: Any, *, name: str | None = None, family: str = 'own', **options: Any):
        super().__init__(**options)
        self._library, self._family = None, family
        if isinstance(env, str):
            name, self._family = name or env, 'gym'
            env, self._library = make_by_id(env)
        _check_single(env)
        gym_interface.modernize(env)
        self._env = env
        self._closed = False
        self._latest: Any = None
        self._view = view(env.observation_space, self.size, self.grayscale)
        self.act_space, self._to_action = action_space(env.action_space)
        self.obs_space = {**self._view.spaces, **bookkeeping_spaces(1)}
        spec = getattr(env, 'spec', None)
        kind = type(getattr(env, 'unwrapped', env)).__name__
        self.levels = [name or getattr(spec, 'id', None) or kind]

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
            raise UsageError(f'{self.levels[0]}: its {during}() failed, {_why(error)}') from error
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
        libraries = [] if self._library is None else [self._library.__name__]
        inner = type(getattr(self._env, 'unwrapped', self._env))
        overview = [*self._view.lines(), action_line(self._env.action_space, self.act_space)]
        if not gym_interface.takes_seed(self._env):
            overview.append('It takes no seed: its episodes differ from run to run.')
        return {
            'name': f'{self._family}_{self.levels[0]}',
            'class': f'{inner.__module__}.{inner.__qualname__}',
            'options': self.options(),
            'packages': versions('opencv-python-headless', *libraries),
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


def make_by_id(identifier: str) -> tuple[Any, ModuleType]:
    """Make an environment by id, without the libraries' output.

    Args:
        identifier: such as `CartPole-v1`, or `module:Name-v0` to import the module that registers
            it first; the module may lie in the current folder.

    Returns:
        The environment and the library it came from.

    Raises:
        UsageError: there is no such environment, or it cannot be made.
    """
    library = _find_library(identifier)
    name = identifier.rpartition(':')[2]
    try:
        with quiet():
            return library.make(name, disable_env_checker=True), library
    # Foreign code: it may fail in any way, or exit because a file is missing.
    except (Exception, SystemExit) as error:
        plain = isinstance(error, (library.error.Error, ImportError))  # These say what to do.
        reason = printable(' '.join(str(error).split()), 300) if plain else _why(error)
        hint = f': {_REGISTER_HINT}' if 'required' in reason and 'argument' in reason else ''
        raise UsageError(
            f'task gym_{printable(identifier)} cannot be made: {reason}{hint}'
        ) from error


def added(family: str, name: str, **options: Any) -> Any:
    """An environment of a family that an installed package adds, see `dreamerv2.plugins`.

    Args:
        family, name: of the task, `maze_small`.
        **options: see `EpisodicEnvironment`; an environment with our interface decides by itself.

    Raises:
        UsageError: it cannot be made or used.
    """
    make = plugins.load('environments', family)
    try:
        env = make(name)
    except UsageError:
        raise
    except (Exception, SystemExit) as error:  # Foreign code, as in `make_by_id`.
        raise UsageError(
            f'task {family}_{printable(name)} cannot be made: {_why(error)}'
        ) from error
    if hasattr(env, 'obs_space') and hasattr(env, 'act_space'):
        return env
    return GymEnv(env, name=name, family=family, **options)


def _find_library(identifier: str) -> ModuleType:
    """The library that knows an environment: Gymnasium, or else Gym."""
    module, _, name = identifier.rpartition(':')
    if module:
        _import(module, identifier)
    known: list[str] = []
    for library in map(import_quietly, ('gymnasium', 'gym')):
        registry = library.envs.registration.registry
        if name in registry:
            return library
        known.extend(registry)
    near = [f'{module}:{found}' if module else found for found in nearest(name, known, 3)]
    hint = f'did you mean {" or ".join(near)}?' if near else ''
    if not module:
        hint += f' gym_MODULE:{name} imports the module that registers it'
    elif not near:
        hint = f'{module} was imported and registers no such name'
    raise UsageError(
        f'unknown environment {shown(name)}: neither Gym nor Gymnasium knows it; '
        f'{printable(hint.strip(), 300)}'
    )


def _import(module: str, identifier: str) -> None:
    """Import a module, also from the current folder; installed ones take precedence.

    Python itself looks there only for `python -m`, not for a console script. The folder stays on
    the path, because registered modules are imported when the environment is made.
    """
    folder = os.getcwd()
    if not {folder, ''} & set(sys.path):
        sys.path.append(folder)
    try:
        import_quietly(module)
    except (Exception, SystemExit) as error:  # As in `make_by_id`.
        if isinstance(error, ModuleNotFoundError):
            reason = printable(str(error), 150)
            hint = 'install it, or start in the folder that it is in'
        else:
            reason, hint = _why(error), 'it fails by itself'
        if module.endswith('.py'):
            hint = f'write {printable(module[:-3])}, without .py'
        raise UsageError(
            f'task gym_{printable(identifier)}: cannot import {shown(module)} ({reason}): {hint}'
        ) from error


def _why(error: BaseException) -> str:
    """One line about an error in foreign code, with its place."""
    reason = printable(' '.join(f'{type(error).__name__}: {error}'.split()), 300)
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f'{reason} ({os.path.basename(last.filename)}, line {last.lineno})'


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
