"""How long the levels of Super Mario Bros are, in pixels, so that progress is a fraction.

Source: the game itself. `scripts/measure_levels.py` reads each level's map from the cartridge
(position of the flagpole, the axe, the exit pipe); `--check` compares this table with it, and
`--walk` moves Mario there in the emulator. In the 28 levels whose end is in their main area he
completed them at an x 7 pixels before the flagpole or 12 before the axe.

x counts pixels from the left end of the level's main area, the one an episode starts in. The flag
(in castles: the axe) is in that area, except in 1-2, 2-2, 4-2 and 7-2, where a pipe at the end
leads to a short area with the flag. There x continues behind the pipe: the pipe's x plus the
distance from where Mario comes out.

In the mazes (4-4, 7-4, 8-4) the wrong way leads back to a smaller x.
"""

from dreamerv2.errors import UsageError

# x of the flagpole or the axe in the main area; for the four levels below: x of the exit pipe.
_END_IN_MAIN_AREA = {
    '1-1': 3168, '1-2': 2656, '1-3': 2432, '1-4': 2256,
    '2-1': 3200, '2-2': 3024, '2-3': 3600, '2-4': 2256,
    '3-1': 3200, '3-2': 3344, '3-3': 2416, '3-4': 2256,
    '4-1': 3600, '4-2': 2992, '4-3': 2352, '4-4': 2768,
    '5-1': 3184, '5-2': 3200, '5-3': 2432, '5-4': 2256,
    '6-1': 2976, '6-2': 3456, '6-3': 2672, '6-4': 2256,
    '7-1': 2864, '7-2': 3024, '7-3': 3600, '7-4': 3280,
    '8-1': 6016, '8-2': 3456, '8-3': 3424, '8-4': 4816,
}  # fmt: skip

# All four exit pipes lead to the same place, the end of the map of 1-1.
_LEVELS_WITH_EXIT_PIPE = ('1-2', '2-2', '4-2', '7-2')
EXIT_AREA = 0xA690
"""Address of the exit area's map in the cartridge (what the game keeps at 0x00E7 in its RAM)."""
_EXIT_AREA_ENTRY = 2872
_EXIT_AREA_FLAG = 3168

LEVELS = tuple(_END_IN_MAIN_AREA)
"""Names of all 32 levels, `world-stage`."""


def level_length(level: str) -> int:
    """Length of a level in pixels: the x of its flag or axe.

    Args:
        level: `world-stage` or a task name of one level, such as `3-1` or `mario_3-1`.

    Raises:
        UsageError: there is no such level.
    """
    offset = exit_offset(level)
    return main_area_end(level) if offset is None else offset + _EXIT_AREA_FLAG


def main_area_end(level: str) -> int:
    """x of the end of a level's main area: flagpole, axe or pipe. Raises as `level_length`."""
    name = level.removeprefix('mario_')
    if name not in _END_IN_MAIN_AREA:
        raise UsageError(f'unknown level {level!r}: levels are named 1-1 to 8-4 (world-stage)')
    return _END_IN_MAIN_AREA[name]


def exit_offset(level: str) -> int | None:
    """Offset of x in the exit area, so that it continues from the exit pipe; None without one."""
    if level.removeprefix('mario_') not in _LEVELS_WITH_EXIT_PIPE:
        return None
    return main_area_end(level) - _EXIT_AREA_ENTRY
