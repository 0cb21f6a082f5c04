"""From a task's name to an environment, or to several.

Games are imported only when they are made, so that checking a task's name stays quick.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from dreamerv2.envs.tasks import check_makeable, parse_task
from dreamerv2.errors import UsageError

if TYPE_CHECKING:
    from dreamerv2.envs.workers import Maker, Workers


def checked_options(
    size: Sequence[int] = (64, 64),
    grayscale: bool = True,
    action_repeat: int | None = None,
    sticky: float | None = None,
    time_limit: int | None = None,
) -> dict[str, Any]:
    """The options that all environments have, but for those that are None; see `make_env`.

    Raises:
        UsageError: an impossible value.
    """
    if len(size) != 2 or not all(int(side) == side and side > 0 for side in size):
        raise UsageError(f'size {size!r}: expected height and width above 0, such as 64 64')
    if action_repeat is not None and (action_repeat < 1 or int(action_repeat) != action_repeat):
        raise UsageError(f'action_repeat {action_repeat!r}: expected a whole number from 1')
    if sticky is not None and not 0 <= sticky <= 1:
        raise UsageError(f'sticky {sticky!r}: expected a probability from 0 to 1')
    if time_limit is not None and (time_limit < 0 or int(time_limit) != time_limit):
        raise UsageError(f'time_limit {time_limit!r}: expected agent steps, or 0 for none')
    options = {
        'size': (int(size[0]), int(size[1])),
        'grayscale': bool(grayscale),
        'action_repeat': None if action_repeat is None else int(action_repeat),
        'sticky': None if sticky is None else float(sticky),
        'time_limit': None if time_limit is None else int(time_limit),
    }
    return {name: value for name, value in options.items() if value is not None}


def make_env(
    task: str,
    *,
    seed: int = 0,
    all_actions: bool = False,
    mario_actions: str | Sequence[str] = 'complex',
    level_weights: Sequence[float] | None = None,
    sets: Mapping[str, Sequence[str]] | None = None,
    **options: Any,
) -> Any:
    """Make the environment of a task.

    Args:
        task: such as `mario_3-1`, `mario_3-1+3-2`, `mario_e4`, `atari_pong`, `gym_CartPole-v1`,
            `pixel`.
        seed: of everything random in the environment.
        size: (height, width) of images, 64 x 64 by default.
        grayscale: images with one channel (the default) or three.
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
    from dreamerv2.envs.multi_level import MultiLevelEnv, normalize_weights

    parsed = parse_task(task, sets)
    check_makeable(parsed)
    given = checked_options(**options)
    if parsed.family == 'atari':
        given['all_actions'] = bool(all_actions) or len(parsed.names) > 1
    if parsed.family == 'mario':
        given['actions'] = mario_actions
    normalize_weights(level_weights, len(parsed.names))
    if len(parsed.names) == 1:
        # With the seed itself, so that its draws do not depend on being one of several.
        return _make(parsed.family, parsed.names[0], seed=seed, **given)
    makers = {
        name: functools.partial(_make, parsed.family, name, seed=own_seed, **given)
        for name, own_seed in zip(parsed.names, spawn_seeds(seed, len(parsed.names)), strict=True)
    }
    details = {}
    if parsed.family == 'atari':
        from dreamerv2.envs.atari import rom_hash

        details['rom_sha256'] = {name: rom_hash(name) for name in parsed.names}
    return MultiLevelEnv(makers, weights=level_weights, seed=seed, details=details)


def wrap_env(env: Any, *, name: str | None = None, seed: int = 0, **options: Any) -> Any:
    """Give a user's own environment this project's interface.

    Args:
        env: a Gym or Gymnasium environment; one with this project's interface is returned as it is.
        name: what to call it in logs; None: its id or class.
        seed: of everything random in it.
        **options: `size`, `grayscale`, `action_repeat`, `sticky` and `time_limit`, see `make_env`.

    Returns:
        An `Environment`.

    Raises:
        UsageError: not such an environment, or an option has an impossible value.
    """
    from dreamerv2.envs.gym_env import GymEnv

    if hasattr(env, 'obs_space') and hasattr(env, 'act_space'):
        return env
    return GymEnv(env, name=name, seed=seed, **checked_options(**options))


def _make(family: str, name: str, **options: Any) -> Any:
    """The environment of one level, game or id."""
    if family == 'mario':
        from dreamerv2.envs.mario import MarioEnv

        return MarioEnv(name, **options)
    if family == 'atari':
        from dreamerv2.envs.atari import AtariEnv

        return AtariEnv(name, **options)
    if family == 'gym':
        from dreamerv2.envs.gym_env import GymEnv

        return GymEnv(name, **options)
    if family != 'pixel':
        from dreamerv2.envs.gym_env import added

        return added(family, name, **options)
    from dreamerv2.envs.pixel_task import PixelTask

    return PixelTask(**options)


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
        seed: the environments' seeds are derived from it, see `spawn_seeds`.
        **options: see `make_env`.

    Raises:
        UsageError: an unknown task or kind, an impossible count or option.
    """
    from dreamerv2.envs.process_workers import ProcessWorkers
    from dreamerv2.envs.workers import InProcess, ThreadWorkers

    kinds: dict[str, Callable[[Sequence[Maker]], Workers]] = {
        'none': InProcess,
        'thread': ThreadWorkers,
        'process': functools.partial(ProcessWorkers, restarts=10),
    }
    if parallel not in kinds:
        raise UsageError(f'parallel {parallel!r}: expected one of {", ".join(kinds)}')
    if count < 1:
        raise UsageError(f'{count} environments: expected a whole number from 1')
    make = functools.partial(make_env, task, **options)
    return kinds[parallel]([functools.partial(make, seed=own) for own in spawn_seeds(seed, count)])
