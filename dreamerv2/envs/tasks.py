"""Names of tasks, checked before anything heavy is imported.

A task is a family and what is played in it, joined by `_`: `mario_3-1`, several with `+`
(`mario_3-1+3-2`), a named set (`mario_e4`), `atari_pong+breakout`, `gym_CartPole-v1`, `pixel`.
`own_NAME` stands for an environment passed from Python, which cannot be made by name. Installed
packages may add families, see `dreamerv2.plugins`.
"""

import collections
import contextlib
import dataclasses
import functools
import importlib.util
from collections.abc import Mapping, Sequence

from dreamerv2 import plugins
from dreamerv2.cli import did_you_mean
from dreamerv2.config import named_sets
from dreamerv2.envs.level_lengths import LEVELS
from dreamerv2.errors import UsageError, printable, shown

# The games that ale-py 0.12 has for one player (it also carries four that need two: combat, joust,
# maze_craze and warlords).
GAMES = (
    'adventure', 'air_raid', 'alien', 'amidar', 'assault', 'asterix', 'asteroids', 'atlantis',
    'atlantis2', 'backgammon', 'bank_heist', 'basic_math', 'battle_zone', 'beam_rider', 'berzerk',
    'blackjack', 'bowling', 'boxing', 'breakout', 'carnival', 'casino', 'centipede',
    'chopper_command', 'crazy_climber', 'crossbow', 'darkchambers', 'defender', 'demon_attack',
    'donkey_kong', 'double_dunk', 'earthworld', 'elevator_action', 'enduro', 'entombed', 'et',
    'fishing_derby', 'flag_capture', 'freeway', 'frogger', 'frostbite', 'galaxian', 'gopher',
    'gravitar', 'hangman', 'haunted_house', 'hero', 'human_cannonball', 'ice_hockey', 'jamesbond',
    'journey_escape', 'kaboom', 'kangaroo', 'keystone_kapers', 'king_kong', 'klax', 'koolaid',
    'krull', 'kung_fu_master', 'laser_gates', 'lost_luggage', 'mario_bros', 'miniature_golf',
    'montezuma_revenge', 'mr_do', 'ms_pacman', 'name_this_game', 'othello', 'pacman', 'phoenix',
    'pitfall', 'pitfall2', 'pong', 'pooyan', 'private_eye', 'qbert', 'riverraid', 'road_runner',
    'robotank', 'seaquest', 'sir_lancelot', 'skiing', 'solaris', 'space_invaders', 'space_war',
    'star_gunner', 'superman', 'surround', 'tennis', 'tetris', 'tic_tac_toe_3d', 'time_pilot',
    'trondead', 'turmoil', 'tutankham', 'up_n_down', 'venture', 'video_checkers', 'video_chess',
    'video_cube', 'video_pinball', 'wizard_of_wor', 'word_zapper', 'yars_revenge', 'zaxxon',
)  # fmt: skip
"""Names of all games, as in `atari_space_invaders`."""

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
        family: `mario`, `atari`, `gym`, `pixel`, `own` or one that a package adds.
        names: what is played in it, in order: names of levels or games, or environment ids.
    """

    family: str
    names: tuple[str, ...]


def parse_task(task: str, sets: Mapping[str, Sequence[str]] | None = None) -> Task:
    """Parse a task's name, without importing any game.

    Args:
        task: such as `mario_3-1+3-2`.
        sets: named sets besides those of `configs.yaml`, see `config.named_sets`.

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
    added = family not in FAMILIES and family in plugins.names('environments')
    if not (added or family in FAMILIES) or family == 'pixel' or not rest:
        raise UsageError(f'unknown task {shown(task)}: expected one such as {_EXAMPLES}')
    names: list[str] = []
    for part in rest.split('+'):
        names.extend(known.get(f'{family}_{part}', known.get(part, (part,))))
    if not all(names):
        raise UsageError(f'task {shown(task)}: a name is missing next to "+"')
    if family == 'atari':
        names = [_ALIASES.get(name, name) for name in names]
    if family in ('mario', 'atari'):
        _check_names(task, family, names, known)
    twice = sorted(name for name, count in collections.Counter(names).items() if count > 1)
    if twice:
        listed = printable(', '.join(twice), 150)
        raise UsageError(f'task {shown(task)} names {listed} twice: name each only once')
    return Task(family, tuple(names))


def check_task(task: str, sets: Mapping[str, Sequence[str]] | None = None) -> Task:
    """Check that a task exists, before anything is written; otherwise as `parse_task`.

    A Gym environment, or one that a package adds, is made and played for a step, to find one that
    cannot be used. Others are not made, and neither an emulator nor TensorFlow is imported.

    Raises:
        UsageError: there is no such task, or what it needs is not installed.
    """
    parsed = parse_task(task, sets)
    check_makeable(parsed)
    if parsed.family == 'atari':
        check_installed(task)
    if is_foreign(parsed.family):
        from dreamerv2.envs.gym_env import GymEnv, added

        make = GymEnv if parsed.family == 'gym' else functools.partial(added, parsed.family)
        for name in parsed.names:
            with contextlib.closing(make(name)) as env:
                if isinstance(env, GymEnv):
                    env.probe()
    return parsed


def is_foreign(family: str) -> bool:
    """Whether environments of a family are code that is not ours: Gym's, or a package's."""
    return family == 'gym' or family not in FAMILIES


def check_installed(task: str) -> None:
    """Raise UsageError unless ale-py, which has emulator and games, is installed."""
    if importlib.util.find_spec('ale_py') is None:
        raise UsageError(
            f"task {task}: Atari needs ale-py, which is not installed: pip install '.[atari]'"
        )


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


def _check_names(
    task: str, family: str, names: Sequence[str], known: Mapping[str, Sequence[str]]
) -> None:
    """Raise UsageError for a level or game that does not exist."""
    existing = LEVELS if family == 'mario' else GAMES
    unknown = [name for name in names if name not in existing]
    if not unknown:
        return
    own = [key.removeprefix(f'{family}_') for key, names in known.items() if names[0] in existing]
    sets = printable(' '.join(sorted(set(own))), 100)
    if family == 'mario':
        raise UsageError(
            f'task {shown(task)}: unknown level {shown(unknown[0])}; there are 1-1 to 8-4 '
            f'({" ".join(LEVELS)}) and the sets {sets}'
        )
    hint = did_you_mean(unknown[0], (*GAMES, *own), 3, lead='; ')
    raise UsageError(
        f'task {shown(task)}: unknown game {shown(unknown[0])}; games are named as in '
        f'atari_space_invaders, sets are {sets}{hint}'
    )
