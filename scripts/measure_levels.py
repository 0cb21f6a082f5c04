"""Measures how long the levels of Super Mario Bros are.

    python scripts/measure_levels.py            prints every level's length, read from its map
    python scripts/measure_levels.py --check    also compares with dreamerv2/envs/level_lengths.py
    python scripts/measure_levels.py --walk 3-1 1-4   also carries Mario to the end of these levels
                                                in the emulator and reports where they ended

The maps are on the cartridge that comes with gym-super-mario-bros. A map is a list of objects, two
bytes each: column and row, then a page flag and the kind of object. Those that end a level are the
flagpole, the axe, and two kinds of sideways pipe. (Formats and addresses are those of
the game's published disassemblies.)
"""

import sys
from collections.abc import Iterator, Sequence

from dreamerv2.cli import Parser, exit_code_of
from dreamerv2.envs.level_lengths import LEVELS, exit_offset, level_length
from dreamerv2.quiet import import_quietly

_HEADER = 16  # bytes of the file before the program
_PROGRAM = 0x8000  # address of the program's first byte
_WORLDS, _AREAS = 0x9CB4, 0x9CBC  # first area of each world; pointer of each area
_MAP_TYPES, _MAPS_LOW, _MAPS_HIGH = 0x9D28, 0x9D2C, 0x9D4E  # where the areas' maps are
_WORLDS_WITH_INTRODUCTION = (1, 2, 4, 7)  # a short area before their second level
_FLAGPOLE, _AXE, _EXIT_PIPE, _WATER_PIPE = (13, 0x41), (13, 0x42), (15, 0x40), (5, 0x09)
_EXIT_PAGE, _EXIT_START = 11, 0x38  # where Mario comes out of an exit pipe: page and offset
_EXIT_LEVEL = '1-1'  # ... in this level's area


def read_program() -> bytes:
    """The program on the cartridge, 32 KiB from address 0x8000."""
    roms = import_quietly('gym_super_mario_bros._roms')
    with open(roms.rom_path(False, 'vanilla'), 'rb') as file:
        return file.read()[_HEADER : _HEADER + 0x8000]


def map_address(program: bytes, level: str) -> int:
    """Address of the objects of a level's main area.

    Args:
        program: see `read_program`.
        level: `world-stage`.

    Returns:
        Address of the map after its two-byte header.
    """
    world, stage = (int(number) for number in level.split('-'))
    area = stage - 1 + (world in _WORLDS_WITH_INTRODUCTION and stage > 1)
    pointer = _byte(program, _AREAS + _byte(program, _WORLDS + world - 1) + area)
    index = _byte(program, _MAP_TYPES + (pointer >> 5 & 3)) + (pointer & 0x1F)
    return _byte(program, _MAPS_LOW + index) + 256 * _byte(program, _MAPS_HIGH + index) + 2


def objects(program: bytes, address: int) -> Iterator[tuple[int, int, int]]:
    """The objects of a map.

    Args:
        program: see `read_program`.
        address: see `map_address`.

    Yields:
        x in pixels, row, and kind.
    """
    page = 0
    while _byte(program, address) != 0xFD:
        place, kind = _byte(program, address), _byte(program, address + 1)
        row, page = place & 15, page + (kind >> 7)
        if row == 13 and not kind & 0x40:
            page = kind & 0x1F  # not an object: continue at this page
        else:
            yield page * 256 + (place >> 4) * 16, row, kind & 0x7F
        address += 2


def measure(program: bytes, level: str) -> int:
    """Length of a level in pixels, as `level_lengths.level_length` defines it.

    Args:
        program: see `read_program`.
        level: `world-stage`.

    Returns:
        x of the flagpole or the axe.

    Raises:
        ValueError: the map has no end.
    """
    pipe = None
    for x, row, kind in objects(program, map_address(program, level)):
        if (row, kind) in (_FLAGPOLE, _AXE):
            return x
        if (row, kind & 0x70) == _EXIT_PIPE or (row, kind) == _WATER_PIPE:
            pipe = x
    if pipe is None:
        raise ValueError(f'the map of {level} has neither flagpole, axe nor exit pipe')
    return pipe + measure(program, _EXIT_LEVEL) - (_EXIT_PAGE * 256 + _EXIT_START)


def walk(level: str) -> int:
    """Carry Mario to the end of a level in the emulator and let him finish it.

    He is held above the screen, where nothing is in his way, until the end is near, and then walks
    on the ground.

    Args:
        level: `world-stage`, one whose flag or axe is in the main area.

    Returns:
        His x when the package reports that the level is completed.

    Raises:
        RuntimeError: it was not.
    """
    package = import_quietly('gym_super_mario_bros.smb_env')
    world, stage = (int(number) for number in level.split('-'))
    game = package.SuperMarioBrosEnv(target=(world, stage))
    game.reset()
    try:
        castle = stage == 4
        for _ in range(4000):
            if game._x_position < level_length(level) - (40 if castle else 24):
                _hold(game.ram, high=0, y=180, speed=40)
            elif castle or game.ram[0xB5] == 0:
                _hold(game.ram, high=1, y=96 if castle else 80, speed=8)
            _, _, done, info = game.step(128)
            if done and info['flag_get']:
                return int(info['x_pos'])
            if done:
                break
        raise RuntimeError(f'{level} was not completed: Mario is at x {game._x_position}')
    finally:
        game.close()


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    return exit_code_of(run, argv)


def run(argv: Sequence[str]) -> int:
    """Prints lengths; returns 1 where the package's table, or the walk, says otherwise."""
    parser = Parser(description='Measures the levels of Super Mario Bros.')
    parser.add_argument('--check', action='store_true', help="compare with the package's table")
    parser.add_argument('--walk', nargs='+', default=[], metavar='LEVEL', choices=LEVELS)
    options = parser.parse_args(argv)
    program = read_program()
    wrong = 0
    for level in LEVELS:
        length = measure(program, level)
        agrees = not options.check or length == level_length(level)
        wrong += not agrees
        print(f'{level} {length}' + ('' if agrees else f' but the table has {level_length(level)}'))
    for level in options.walk:
        if exit_offset(level) is not None:
            print(f'{level}: the flag is in another area, not walked')
            continue
        x = walk(level)
        near = abs(x - level_length(level)) <= 16
        wrong += not near
        print(f'{level} completed at x {x}, length {level_length(level)}')
    return 1 if wrong else 0


def _byte(program: bytes, address: int) -> int:
    return program[address - _PROGRAM]


def _hold(ram, high: int, y: int, speed: int) -> None:
    ram[0xB5], ram[0xCE] = high, y  # vertical position: page (0 is above the screen) and pixel
    ram[0x9F], ram[0x433] = 0, 0  # no fall
    ram[0x57] = speed
    ram[0x745] = 0  # no turning back in the mazes
    ram[0x79F] = 9  # invincible


if __name__ == '__main__':
    sys.exit(main())
