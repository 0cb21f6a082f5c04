"""Compiles the NES emulator for speed and installs it: `build_emulator.py LOCK`.

LOCK is a requirements file with nes-py and its hashes alone. With GCC the emulator is compiled
twice: first so that it counts what runs while a few levels are played, then as those counts say.
What it computes stays the same.
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
GCC = 10  # The first that keeps what was not played as fast as without counts.
WORKLOAD = Path(__file__).with_name('emulator_workload.py')


def flags_of(system: str) -> str:
    """Flags for the compiler and the linker of an operating system."""
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
    """The unpacked source of the emulator, of the hash that the lock names."""
    pip(
        'download', '--require-hashes', '--no-binary', 'nes-py', '--no-build-isolation',
        '--dest', str(folder / 'fetched'), '-r', str(lock),
    )  # fmt: skip
    (archive,) = (folder / 'fetched').glob('*.tar.gz')
    shutil.unpack_archive(archive, folder / 'source')
    (source,) = (folder / 'source').iterdir()
    return source


def compile_to(target: Path, source: Path, flags: str) -> None:
    """Makes a wheel of the source in `target`, from scratch."""
    # In the same place each time: counts are kept under the names of the objects.
    shutil.rmtree(source / 'build', ignore_errors=True)
    # Older setuptools compile C++ with CFLAGS, newer ones with CXXFLAGS.
    pip(
        'wheel', '--no-build-isolation', '--no-cache-dir', '--wheel-dir', str(target), str(source),
        CFLAGS=flags, CXXFLAGS=flags, LDFLAGS=flags,
    )  # fmt: skip


def install(wheels: Path, *options: str) -> None:
    """Installs the wheel of a folder, wherever else pip is set to look. Raises as `pip`."""
    where = {'PIP_FIND_LINKS': str(wheels), 'PIP_CONFIG_FILE': os.devnull}
    pip('install', '--no-index', *options, 'nes-py', **where)


def counted(folder: Path, source: Path, flags: str) -> str:
    """Flags that make use of what was counted while playing. Raises CalledProcessError."""
    counts, counting, packages = folder / 'counts', folder / 'counting', folder / 'packages'
    compile_to(counting, source, f'{flags} -fprofile-generate={counts}')
    install(counting, '--target', str(packages))
    environment = {**os.environ, 'PYTHONPATH': str(packages)}
    subprocess.run([sys.executable, '-W', 'ignore', str(WORKLOAD)], env=environment, check=True)
    return f'-fprofile-use={counts} -fprofile-partial-training -Wno-missing-profile'


def build(lock: Path, folder: Path) -> None:
    """Fetches, compiles and installs. Raises CalledProcessError."""
    source = fetch(lock, folder)
    flags = flags_of(platform.system())
    version = subprocess.run(['g++', '--version'], capture_output=True, text=True, check=True)
    if can_count(version.stdout):
        try:
            flags = f'{flags} {counted(folder, source, flags)}'
        except subprocess.CalledProcessError as error:
            print(f'The emulator is compiled without counts, for this failed: {error}', flush=True)
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
    except subprocess.CalledProcessError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
