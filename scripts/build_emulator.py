"""Compiles the NES emulator for speed and installs it: `build_emulator.py LOCK`.

LOCK is a requirements file with only nes-py and its hashes. The loop over a frame is replaced by
`emulator_run.cpp`, and with GCC profile-guided optimisation is used: it is compiled with counters,
plays a few levels, and is compiled again. The results stay the same.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

BASIC = '-O3 -fwrapv -DNDEBUG'
# Inlining across files; Apple's compiler lacks the first.
WHOLE = '-fno-semantic-interposition -flto'
GCC = 10  # The first whose profile-guided builds keep unplayed code as fast as plain builds.
WORKLOAD = Path(__file__).with_name('emulator_workload.py')
RUN = Path(__file__).with_name('emulator_run.cpp')
# Replacements in nes-py, by file, that make it use `RUN`.
CHANGES = {
    'src/emulator.cpp': {
        'void Emulator::step()': 'void Emulator::step_by_cycle()',
        'ppu.': 'caught_up().',
    },
    'include/emulator.hpp': {
        'void step();': """void step();
    void step_by_cycle();
    PPU& caught_up();
    int dots_put_off = 0;
    int dots_before_interrupt = 0;""",
    },
    'include/cpu.hpp': {
        'void cycle(MainBus &bus);': """void cycle(MainBus &bus);
    int cycles_to_instruction() const;
    void advance(MainBus& bus, int count);""",
    },
    'include/ppu.hpp': {
        'void cycle(PictureBus& bus);': """void cycle(PictureBus& bus);
    void run(PictureBus& bus, int dots);
    int dots_without_effect() const;
    int dots_before_interrupt() const;
    void draw(PictureBus& bus, int count);
    void draw_background(PictureBus& bus, int first, int last, NES_Byte* background);
    bool draw_sprites(
        PictureBus& bus, int first, int last, const NES_Byte* background, NES_Byte* colors
    );""",
        # nes-py leaves these uninitialised: zero, as a rule.
        'PPU() : sprite_memory(64 * 4) { }': 'PPU() : sprite_memory(64 * 4) { reset(); }',
        'bool is_sprite_zero_hit;': 'bool is_sprite_zero_hit = false;',
        'NES_Byte data_buffer;': 'NES_Byte data_buffer = 0;',
        'bool is_hiding_edge_sprites;': 'bool is_hiding_edge_sprites = false;',
        'bool is_hiding_edge_background;': 'bool is_hiding_edge_background = false;',
    },
}


def flags_of(system: str) -> str:
    """Compiler and linker flags for an operating system."""
    return f'{BASIC} {WHOLE}' if system == 'Linux' else BASIC


def can_count(version: str) -> bool:
    """Whether a compiler, by what `g++ --version` prints, is a GCC that is new enough."""
    found = re.search(r'\) (\d+)\.', version)
    return 'Free Software Foundation' in version and bool(found) and int(found[1]) >= GCC


def pip(command: str, *arguments: str, **environment: str) -> None:
    """Calls pip with these environment variables. Raises CalledProcessError."""
    options = ['--no-deps', '--progress-bar', 'off', *arguments]
    subprocess.run(
        [sys.executable, '-m', 'pip', command, *options],
        env={**os.environ, **environment},
        check=True,
    )


def fetch(lock: Path, folder: Path) -> Path:
    """The unpacked source of the emulator, with the hash in the lock."""
    pip(
        'download', '--require-hashes', '--no-binary', 'nes-py', '--no-build-isolation',
        '--dest', str(folder / 'fetched'), '-r', str(lock),
    )  # fmt: skip
    (archive,) = (folder / 'fetched').glob('*.tar.gz')
    shutil.unpack_archive(archive, folder / 'source')
    (source,) = (folder / 'source').iterdir()
    return source


def hasten(source: Path) -> None:
    """Adds `RUN` to the source. Raises ValueError where the source is a different version."""
    emulator = source / 'nes_py' / 'nes'
    for name, changes in CHANGES.items():
        text = (emulator / name).read_text()
        for old, new in changes.items():
            if old not in text:
                raise ValueError(f'{RUN.name} is for another nes-py: its {name} has no {old!r}')
            text = text.replace(old, new)
        (emulator / name).write_text(text)
    shutil.copy(RUN, emulator / 'src')


def compile_to(target: Path, source: Path, flags: str) -> None:
    """Builds a wheel of the source in `target`, from scratch."""
    # In the same place each time: profiles are stored by the names of the objects.
    shutil.rmtree(source / 'build', ignore_errors=True)
    # Older setuptools compile C++ with CFLAGS, newer ones with CXXFLAGS.
    pip(
        'wheel', '--no-build-isolation', '--no-cache-dir', '--wheel-dir', str(target), str(source),
        CFLAGS=flags, CXXFLAGS=flags, LDFLAGS=flags,
    )  # fmt: skip


def install(wheels: Path, *options: str) -> None:
    """Installs the wheel of a folder, ignoring pip's configuration. Raises as `pip`."""
    where = {'PIP_FIND_LINKS': str(wheels), 'PIP_CONFIG_FILE': os.devnull}
    pip('install', '--no-index', *options, 'nes-py', **where)


def counted(folder: Path, source: Path, flags: str) -> str:
    """Flags that use the profile recorded while playing. Raises CalledProcessError."""
    counts, counting, packages = folder / 'counts', folder / 'counting', folder / 'packages'
    compile_to(counting, source, f'{flags} -fprofile-generate={counts}')
    install(counting, '--target', str(packages))
    environment = {**os.environ, 'PYTHONPATH': str(packages)}
    subprocess.run([sys.executable, '-W', 'ignore', str(WORKLOAD)], env=environment, check=True)
    return f'-fprofile-use={counts} -fprofile-partial-training -Wno-missing-profile'


def build(lock: Path, folder: Path) -> None:
    """Fetches, compiles and installs. Raises CalledProcessError, or ValueError as `hasten`."""
    source = fetch(lock, folder)
    hasten(source)
    flags = flags_of(platform.system())
    version = subprocess.run(['g++', '--version'], capture_output=True, text=True, check=True)
    if can_count(version.stdout):
        try:
            flags = f'{flags} {counted(folder, source, flags)}'
        except subprocess.CalledProcessError as error:
            print(
                f'The emulator is compiled without a profile, because this failed: {error}',
                flush=True,
            )
    wheels = folder / 'wheels'
    compile_to(wheels, source, flags)
    install(wheels, '--force-reinstall')


def main(argv: Sequence[str] | None = None) -> int:
    """The command; 0, or 1 where a step failed, whose output says why."""
    parser = argparse.ArgumentParser(prog='build_emulator', description=__doc__.splitlines()[0])
    parser.add_argument('lock', type=Path, metavar='LOCK')
    lock = parser.parse_args(argv).lock.resolve()
    try:
        with tempfile.TemporaryDirectory() as folder:
            build(lock, Path(folder).resolve())
    except (subprocess.CalledProcessError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
