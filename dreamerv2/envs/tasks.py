"""Names of tasks, checked before anything heavy is imported.

A task is a family and what is played in it, joined by `_`: `mario_3-1`, several with `+`
(`mario_3-1+3-2`), a named set (`mario_e4`), `atari_pong+breakout`, `gym_CartPole-v1`, `pixel`.
`own_NAME` stands for an environment passed from Python, which cannot be made by name.
"""

import collections
import contextlib
import dataclasses
from collections.abc import Mapping, Sequence

from dreamerv2.cli import did_you_mean
from dreamerv2.config.sets import named_sets
from dreamerv2.envs.atari_games import GAMES, check_installed
from dreamerv2.envs.level_lengths import LEVELS
from dreamerv2.errors import UsageError, printable, shown

FAMILIES = 'mario', 'atari', 'gym', 'pixel'
_EXAMPLES = 'mario_3-1, mario_3-1+3-2, mario_e4, atari_pong, gym_CartPole-v1, pixel'
_ALIASES = {'james_bond': 'jamesbond'}  # DreamerV2 takes both
_UNSUPPORTED = {
    'dmc': 'the DeepMind Control Suite is not supported: use gym_ID for a Gym or Gymnasium task',
    'crafter': 'Crafter is not supported directly: install its package (pip install crafter) and '
    'use gym_crafter:CrafterReward-v1 or gym_crafter:CrafterNoReward-v1',
}


@dataclasses.dataclass(frozen=True)
class Task:
    """A task's parts.

    Attributes:
        family: `mario`, `atari`, `gym`, `pixel` or `own`.
        names: what is played in it, in order: names of levels or games, or environment ids.
    """

    family: str
    names: tuple[str, ...]


def parse_task(task: str, sets: Mapping[str, Sequence[str]] | None = None) -> Task:
    """Parse a task's name, without importing any game.

    Args:
        task: such as `mario_3-1+3-2`.
        sets: named sets besides those of `configs.yaml`, see `config.sets`.

    Returns:
        Family and names, sets expanded.

    Raises:
        UsageError: an unknown family, level or game, or a name given twice.
    """
    known = named_sets(sets)
    family, _, rest = str(task).partition('_')
    if task in known and set(known[task]) <= set(GAMES):
        family, rest = 'atari', task  # `atari4` for `atari_atari4`
    if family == 'pixel' and rest in ('', 'reach'):
        return Task('pixel', ('pixel',))
    if family in _UNSUPPORTED:
        raise UsageError(f'task {shown(task)}: {_UNSUPPORTED[family]}')
    if family == 'own' and rest:
        return Task('own', (rest,))
    if family not in FAMILIES or family == 'pixel' or not rest:
        raise UsageError(f'unknown task {shown(task)}: expected one such as {_EXAMPLES}')
    names: list[str] = []
    for part in rest.split('+'):
        names.extend(known.get(f'{family}_{part}', known.get(part, (part,))))
    if not all(names):
        raise UsageError(f'task {shown(task)}: a name is missing next to "+"')
    if family == 'mario':
        _check_levels(task, names, known)
    if family == 'atari':
        names = [_ALIASES.get(name, name) for name in names]
        _check_games(task, names, known)
    twice = sorted(name for name, count in collections.Counter(names).items() if count > 1)
    if twice:
        listed = printable(', '.join(twice), 150)
        raise UsageError(f'task {shown(task)} names {listed} twice: name each only once')
    return Task(family, tuple(names))


def check_task(task: str, sets: Mapping[str, Sequence[str]] | None = None) -> Task:
    """Check that a task exists, before anything is written.

    A Gym environment is made and played for a step, to find one that cannot be used. Others are not
    made, and neither an emulator nor TensorFlow is imported.

    Args:
        task: the task's name.
        sets: named sets besides those of `configs.yaml`, see `config.sets`.

    Returns:
        Family and names, as `parse_task`.

    Raises:
        UsageError: there is no such task, or what it needs is not installed.
    """
    parsed = parse_task(task, sets)
    check_makeable(parsed)
    if parsed.family == 'atari':
        check_installed(task)
    if parsed.family == 'gym':
        from dreamerv2.envs.gym_env import GymEnv

        for name in parsed.names:
            with contextlib.closing(GymEnv(name)) as env:
                env.probe()
    return parsed


def check_makeable(task: Task) -> None:
    """Raise UsageError for an environment that only the user's own program can make."""
    if task.family == 'own':
        name = printable(task.names[0])
        raise UsageError(
            f'task own_{name} is an environment passed from Python: train it with '
            'dreamerv2.api.train(env, config), evaluate it with dreamerv2.api.evaluate(env, '
            f'logdir); if Gym or Gymnasium can make it by its id, evaluate.py takes --tasks '
            f'gym_{name}'
        )


def _check_levels(task: str, names: Sequence[str], known: Mapping[str, Sequence[str]]) -> None:
    unknown = [name for name in names if name not in LEVELS]
    if unknown:
        own = {name.removeprefix('mario_') for name, values in known.items() if values[0] in LEVELS}
        raise UsageError(
            f'task {shown(task)}: unknown level {shown(unknown[0])}; there are 1-1 to 8-4 '
            f'({" ".join(LEVELS)}) and the sets {printable(" ".join(sorted(own)), 100)}'
        )


def _check_games(task: str, names: Sequence[str], known: Mapping[str, Sequence[str]]) -> None:
    unknown = [name for name in names if name not in GAMES]
    if unknown:
        own = {name.removeprefix('atari_') for name, values in known.items() if values[0] in GAMES}
        sets = printable(' '.join(sorted(own)), 100)
        hint = did_you_mean(unknown[0], (*GAMES, *own), 3, lead='; ')
        raise UsageError(
            f'task {shown(task)}: unknown game {shown(unknown[0])}; games are named as in '
            f'atari_space_invaders, sets are {sets}{hint}'
        )
