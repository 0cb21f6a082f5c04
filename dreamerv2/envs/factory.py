"""From a task's name to an environment, or to several.

Games are imported only when they are made, so that checking a task's name stays quick.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from dreamerv2.envs.tasks import Task, check_makeable, parse_task
from dreamerv2.errors import UsageError

if TYPE_CHECKING:
    from dreamerv2.envs.workers import Maker, Workers


def check_options(
    size: Sequence[int],
    action_repeat: int | None,
    sticky: float | None,
    time_limit: int | None,
) -> None:
    """Raise UsageError for an option with an impossible value; see `make_env`."""
    if len(size) != 2 or not all(int(side) == side and side > 0 for side in size):
        raise UsageError(f'size {size!r}: expected height and width above 0, such as 64 64')
    if action_repeat is not None and (action_repeat < 1 or int(action_repeat) != action_repeat):
        raise UsageError(f'action_repeat {action_repeat!r}: expected a whole number from 1')
    if sticky is not None and not 0 <= sticky <= 1:
        raise UsageError(f'sticky {sticky!r}: expected a probability from 0 to 1')
    if time_limit is not None and (time_limit < 0 or int(time_limit) != time_limit):
        raise UsageError(f'time_limit {time_limit!r}: expected agent steps, or 0 for none')


def make_env(
    task: str,
    *,
    seed: int = 0,
    size: Sequence[int] = (64, 64),
    grayscale: bool = True,
    action_repeat: int | None = None,
    sticky: float | None = None,
    time_limit: int | None = None,
    all_actions: bool = False,
    mario_actions: str | Sequence[str] = 'complex',
    level_weights: Sequence[float] | None = None,
    sets: Mapping[str, Sequence[str]] | None = None,
) -> Any:
    """Make the environment of a task.

    Args:
        task: such as `mario_3-1`, `mario_3-1+3-2`, `mario_e4`, `atari_pong`, `gym_CartPole-v1`,
            `pixel`.
        seed: of everything random in the environment.
        size: (height, width) of images.
        grayscale: images with one channel or three.
        action_repeat: frames per agent step; None: 4 in Mario and Atari, else 1.
        sticky: probability that the previous action is executed again, in Atari drawn for every
        frame; None: 0.2 in Mario, 0.25 in Atari, else 0.
        time_limit: agent steps after which an episode is cut off; None or 0: never.
        all_actions: all 18 actions of Atari instead of those that have an effect in the game;
            always so with several games, which share one action space. No effect elsewhere.
        mario_actions: set of actions in Mario, see `MarioEnv`. No effect elsewhere.
        level_weights: with several levels, how often each is drawn; None: uniformly.
        sets: named sets of levels besides those of `configs.yaml`, `{'mario_e4': ['3-1', ...]}`.

    Returns:
        An `Environment`.

    Raises:
        UsageError: there is no such task, or an option has an impossible value.
    """
    parsed = parse_task(task, sets)
    check_makeable(parsed)
    check_options(size, action_repeat, sticky, time_limit)
    options = {
        'size': (int(size[0]), int(size[1])),
        'grayscale': bool(grayscale),
        'action_repeat': None if action_repeat is None else int(action_repeat),
        'sticky': None if sticky is None else float(sticky),
        'time_limit': None if time_limit is None else int(time_limit),
    }
    options = {name: value for name, value in options.items() if value is not None}
    if parsed.family == 'atari':
        options['all_actions'] = bool(all_actions) or len(parsed.names) > 1
    if parsed.family == 'mario':
        options['actions'] = mario_actions
    from dreamerv2.envs.multi_level import MultiLevelEnv, normalize_weights

    makers = _makers(parsed, seed, options)
    normalize_weights(level_weights, len(makers))
    if len(makers) == 1:
        return next(iter(makers.values()))()
    return MultiLevelEnv(makers, weights=level_weights, seed=seed, details=_details(parsed))


def wrap_env(
    env: Any,
    *,
    name: str | None = None,
    seed: int = 0,
    size: Sequence[int] = (64, 64),
    grayscale: bool = True,
    action_repeat: int = 1,
    sticky: float = 0.0,
    time_limit: int = 0,
) -> Any:
    """Give a user's own environment this project's interface.

    Args:
        env: a Gym or Gymnasium environment; one with this project's interface is returned as it is.
        name: what to call it in logs; None: its id or class.
        seed: of everything random in it.
        size: (height, width) of images.
        grayscale: whether images in colour become gray.
        action_repeat: steps of the environment per agent step.
        sticky: probability that the previous action is executed again.
        time_limit: agent steps after which an episode is cut off; 0: never.

    Returns:
        An `Environment`.

    Raises:
        UsageError: not such an environment, or an option has an impossible value.
    """
    from dreamerv2.envs.gym_env import GymEnv

    if hasattr(env, 'obs_space') and hasattr(env, 'act_space'):
        return env
    check_options(size, action_repeat, sticky, time_limit)
    return GymEnv(
        env,
        name=name,
        size=(int(size[0]), int(size[1])),
        grayscale=grayscale,
        action_repeat=int(action_repeat),
        sticky=float(sticky),
        time_limit=int(time_limit),
        seed=seed,
    )


def spawn_seeds(seed: int, count: int) -> list[int]:
    """Independent seeds derived from one (`numpy.random.SeedSequence.spawn`)."""
    children = np.random.SeedSequence(seed).spawn(count)
    return [int(child.generate_state(1, np.uint64)[0]) for child in children]


def make_workers(
    task: str, count: int, *, parallel: str = 'none', seed: int = 0, **options: Any
) -> Workers:
    """Make several environments of one task.

    Args:
        task: see `make_env`.
        count: number of environments.
        parallel: `none` (one after another), `thread` or `process`.
        seed: the environments' seeds are derived from it (`numpy.random.SeedSequence.spawn`).
        **options: see `make_env`.

    Returns:
        The environments.

    Raises:
        UsageError: an unknown task or kind, an impossible count or option.
    """
    from dreamerv2.envs.workers import InProcess, ThreadWorkers

    kinds: dict[str, Callable[[Sequence[Maker]], Workers]] = {
        'none': InProcess,
        'thread': ThreadWorkers,
        'process': _process_workers,
    }
    if parallel not in kinds:
        raise UsageError(f'parallel {parallel!r}: expected one of {", ".join(kinds)}')
    if count < 1:
        raise UsageError(f'{count} environments: expected a whole number from 1')
    make = functools.partial(make_env, task, **options)
    return kinds[parallel]([functools.partial(make, seed=own) for own in spawn_seeds(seed, count)])


def _details(task: Task) -> dict[str, Any]:
    """What differs between the levels of a task, for their joint description."""
    if task.family != 'atari':
        return {}
    from dreamerv2.envs.atari import rom_hash

    return {'rom_sha256': {name: rom_hash(name) for name in task.names}}


def _makers(task: Task, seed: int, options: Mapping[str, Any]) -> dict[str, Callable[[], Any]]:
    """For each name in the task a function that makes its environment."""
    # A single level uses the seed itself, so that its draws do not depend on being one of several.
    seeds = [seed] if len(task.names) == 1 else spawn_seeds(seed, len(task.names))
    families = {'mario': _make_mario, 'atari': _make_atari, 'gym': _make_gym, 'pixel': _make_pixel}
    make_one = families[task.family]

    def maker(name: str, own_seed: int) -> Callable[[], Any]:
        return lambda: make_one(name, seed=own_seed, **options)

    return {name: maker(name, own_seed) for name, own_seed in zip(task.names, seeds, strict=True)}


def _make_mario(name: str, **options: Any) -> Any:
    from dreamerv2.envs.mario import MarioEnv

    return MarioEnv(name, **options)


def _make_atari(name: str, **options: Any) -> Any:
    from dreamerv2.envs.atari import AtariEnv

    return AtariEnv(name, **options)


def _make_gym(name: str, **options: Any) -> Any:
    from dreamerv2.envs.gym_env import GymEnv

    return GymEnv(name, **options)


def _make_pixel(name: str, **options: Any) -> Any:
    from dreamerv2.envs.pixel_task import PixelTask

    return PixelTask(**options)


def _process_workers(makers: Sequence[Maker]) -> Workers:
    from dreamerv2.envs.process_workers import RESTARTS, ProcessWorkers

    return ProcessWorkers(makers, restarts=RESTARTS)
