"""Episode files: one `.npz` per episode, written atomically.

A name is `TIME-SERIAL-ROWS.npz`, such as `20240131T235959-000000012-183.npz`: the time of writing
(UTC), the episode's number in the order of finishing, and its rows, the reset's included. Names
therefore sort by time and describe their content without being opened.
"""

import errno
import json
import logging
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import numpy as np

from dreamerv2 import npz
from dreamerv2.durable import write_durably
from dreamerv2.errors import UsageError
from dreamerv2.replay.episode import canonical, check_episode

logger = logging.getLogger(__name__)

_NAME = re.compile(r'(?P<time>\d{8}T\d{6})-(?P<serial>\d+)-(?P<rows>\d+)\.npz', re.ASCII)


class DamagedEpisodeError(Exception):
    """A damaged episode file; the message is one line with its path."""


@dataclass(frozen=True, order=True)
class EpisodeFile:
    """The parts of an episode file's name. Sorts by serial number."""

    serial: int
    rows: int
    path: Path

    @property
    def steps(self) -> int:
        return self.rows - 1


def new_file(directory: Path, serial: int, rows: int) -> EpisodeFile:
    """The name of an episode written now."""
    time = datetime.now(timezone.utc).strftime('%Y%m%dT%H%M%S')
    return EpisodeFile(serial, rows, directory / f'{time}-{serial:09d}-{rows}.npz')


def list_files(directory: Path) -> list[EpisodeFile]:
    """Episode files of a directory, oldest first; other `.npz` files are named and left alone."""
    files = []
    for path in sorted(directory.glob('*.npz')):
        if match := _NAME.fullmatch(path.name):
            files.append(EpisodeFile(int(match['serial']), int(match['rows']), path))
        else:
            logger.warning(
                'Skipped %s: not named TIME-SERIAL-ROWS.npz like a stored episode.', path
            )
    return sorted(files)


def write_episode(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write a dict of arrays `[rows, ...]` as a compressed `.npz`; raises StorageError."""
    write_durably(path, npz.encode(arrays))


def read_episode(file: EpisodeFile) -> dict[str, np.ndarray]:
    """All arrays of an episode, checked.

    Raises:
        DamagedEpisodeError: it is damaged, or not an episode.
        OSError: the file cannot be read just now.
    """
    try:
        arrays = {key: canonical(key, v) for key, v in npz.decode(_content(file.path)).items()}
        arrays.setdefault('level', np.zeros(file.rows, np.int32))
        check_episode(arrays, file.rows)
    except ValueError as error:
        raise DamagedEpisodeError(f'{file.path}: {error}') from error
    return arrays


def _content(path: Path) -> bytes:
    # A link may point outside the folder, and a pipe or a device never ends.
    if not stat.S_ISREG(path.lstat().st_mode):
        raise ValueError('it is a link or not a regular file')
    try:
        return path.read_bytes()
    except OSError as error:
        if error.errno == errno.EIO:
            raise ValueError('the disk cannot read it') from error
        raise


def move_aside(file: EpisodeFile, folder: str) -> Path:
    """Move a file into a folder beside it, under an unused name, which is returned."""
    target = file.path.parent / folder / file.path.name
    target.parent.mkdir(exist_ok=True)
    number = 1
    while os.path.lexists(target):
        target = target.with_name(f'{file.path.stem}.{number}.npz')
        number += 1
    os.replace(file.path, target)
    return target


def keep_levels(directory: Path, levels: list[str] | None) -> list[str] | None:
    """Names of the levels that `level` indexes, kept in `levels.json` beside the episodes.

    Raises:
        UsageError: the directory's episodes were collected with other levels.
    """
    path = directory / 'levels.json'
    stored = None
    if path.exists():
        try:
            stored = json.loads(path.read_text())
        except ValueError:
            logger.warning('Skipped damaged file %s: not a JSON list of level names.', path)
    if levels is None:
        return stored
    levels = list(levels)
    if stored is None:
        write_durably(path, (json.dumps(levels) + '\n').encode())
    elif stored != levels:
        raise UsageError(
            f'the episodes in {directory} are of the levels {stored}, not of {levels}: '
            f'use another logdir for this task'
        )
    return levels
