"""Checks of the machine: disk, memory, and the folder of runs."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from dreamerv2.doctor.rows import Row, failed, ok, warning

GIGABYTE = 1e9

_LITTLE_DISK, _TOO_LITTLE_DISK = 5 * GIGABYTE, 0.5 * GIGABYTE
_LITTLE_MEMORY, _TOO_LITTLE_MEMORY = 4 * GIGABYTE, 1 * GIGABYTE


def nearest_existing(path: Path) -> Path:
    """The path itself, or the nearest folder above it that exists."""
    path = path.absolute()
    while not path.exists() and path != path.parent:
        path = path.parent
    return path


def check_disk(path: Path) -> Row:
    """Free space in the folder of runs."""
    place = nearest_existing(path)
    usage = shutil.disk_usage(place)
    free = usage.free
    seen = f'{free / GIGABYTE:.1f} of {usage.total / GIGABYTE:.1f} GB free at {place}'
    hint = 'make room there, or give --logdir on another disk; a full-size run takes some GB'
    if free < _TOO_LITTLE_DISK:
        return failed('disk', seen, hint)
    return warning('disk', seen, hint) if free < _LITTLE_DISK else ok('disk', seen)


def check_memory(free: float | None) -> Row:
    """Whether `free` bytes of memory are enough; None where unknown."""
    if free is None:
        return ok('memory', 'this system does not say how much is free')
    seen = f'{free / GIGABYTE:.1f} GB are available'
    hint = 'end other programs, or use smaller networks: --configs mario_small'
    if free < _TOO_LITTLE_MEMORY:
        return failed('memory', seen, hint)
    return warning('memory', seen, hint) if free < _LITTLE_MEMORY else ok('memory', seen)


def check_writable(path: Path) -> Row:
    """Whether a run can make its folder, by writing an unnamed file there."""
    place = nearest_existing(path)
    hint = 'give --logdir in a folder of your own, or change the permissions of this one'
    if not place.is_dir():
        return failed('default logdir', f'{place} is a file', hint)
    try:
        with tempfile.TemporaryFile(dir=place) as file:
            file.write(b'written')
            file.flush()
    except OSError as error:
        return failed('default logdir', f'{place} cannot be written to: {error.strerror}', hint)
    made = '' if place == path.absolute() else f' ({path} is made by the first run)'
    return ok('default logdir', f'{place} can be written to{made}')
