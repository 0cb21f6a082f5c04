"""Death, the game's clock and the flag in a level of Mario, caused by writing memory.

Mario is moved to where the ending happens; the game, its package and this project's environment
then react as in training.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

from dreamerv2.doctor.rows import Row, examine, failed, ok
from dreamerv2.envs.level_lengths import exit_offset, main_area_end

ENDINGS = ('death', 'clock-out', 'flag')

_NOOP, _RIGHT, _RUN_RIGHT = 0, 1, 3
_X_PAGE, _X, _SPEED, _FALLING, _FALLING_FRACTION = 0x6D, 0x86, 0x57, 0x9F, 0x433
_SCREEN, _Y, _INVINCIBLE = 0xB5, 0xCE, 0x79F
_ABOVE, _VISIBLE, _BELOW = 0, 1, 2
# What to write where: Mario below the picture, one tick on the clock, the mode after a level.
_IN_A_HOLE = {_SCREEN: _BELOW}
_LAST_TICK = {0x7F8: 0, 0x7F9: 0, 0x7FA: 1}
_LEVEL_IS_OVER = {0x770: 2}
_MAZES = ('4-4', '7-4', '8-4')
_PATIENCE = 600  # frames within which an ending must happen
_LONGEST_WALK = 6000  # frames to the end of a level
_BEFORE_END = 60  # pixels from the flag where Mario is lowered

Bring = Callable[[Any], dict[str, Any]]


def check(env: Any) -> list[Row]:
    """A row for each of `ENDINGS` in a level.

    Args:
        env: a `MarioEnv` without time limit and sticky actions; episodes of it are played.
    """
    (level,) = env.levels
    ways: dict[str, tuple[str, Bring]] = {
        'death': ('by falling', functools.partial(write, _IN_A_HOLE)),
        'clock-out': ('when the clock runs out', functools.partial(write, _LAST_TICK)),
        'flag': ("by the game's own mode", functools.partial(write, _LEVEL_IS_OVER)),
    }
    if exit_offset(level) is None and level not in _MAZES:
        ways['flag'] = ('at its end', walk_to_end)
    rows = [(f'{end} {level}', functools.partial(_row, end, *ways[end], env)) for end in ENDINGS]
    return list(examine(rows))


def _row(ending: str, how: str, bring: Bring, env: Any) -> Row:
    name = f'{ending} {env.levels[0]}'
    env.reset()
    env.step(_NOOP)
    last = bring(env)
    values = {key: bool(last[key]) for key in ('is_last', 'is_terminal', 'log_completed')}
    expected = {'is_last': True, 'is_terminal': True, 'log_completed': ending == 'flag'}
    shown = ', '.join(f'{key} {value}' for key, value in values.items())
    if values == expected:
        return ok(name, f'{how}: {shown}')
    wanted = ', '.join(f'{key} {value}' for key, value in expected.items())
    hint = (
        'check that gym-super-mario-bros and nes-py have the required versions (python -m '
        'dreamerv2.doctor); in an environment of your own set is_terminal wherever the game ended'
    )
    return failed(name, f'{how}: {shown}; expected {wanted}', hint)


def write(memory: Mapping[int, int], env: Any) -> dict[str, Any]:
    """Writes values at addresses and waits for the ending; returns the last observation."""
    for address, value in memory.items():
        env._game.ram[address] = value
    observation: dict[str, Any] = env.step(_NOOP)
    for _ in range(_PATIENCE // env.action_repeat):
        if observation['is_last']:
            break
        observation = env.step(_NOOP)
    return observation


def walk_to_end(env: Any) -> dict[str, Any]:
    """Runs above the picture to the end, then down onto flag or axe; returns the last observation.

    The level scrolls as in play.
    """
    ram = env._game.ram
    end = main_area_end(env.levels[0]) - _BEFORE_END
    observation: dict[str, Any] = {'is_last': False}
    for _ in range(_LONGEST_WALK // env.action_repeat):
        if observation['is_last'] or int(ram[_X_PAGE]) * 256 + int(ram[_X]) >= end:
            break
        _hold(ram, _ABOVE, 180, speed=40)
        observation = env.step(_RUN_RIGHT)
    for _ in range(_PATIENCE // env.action_repeat):
        if observation['is_last']:
            break
        _hold(ram, _VISIBLE, 96, speed=8)
        observation = env.step(_RIGHT)
    return observation


def _hold(ram: Any, screen: int, y: int, speed: int) -> None:
    """Keeps Mario at a height, moving and unharmed."""
    ram[_SCREEN], ram[_Y] = screen, y
    ram[_FALLING], ram[_FALLING_FRACTION], ram[_SPEED] = 0, 0, speed
    ram[_INVINCIBLE] = 9
