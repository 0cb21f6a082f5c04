"""Episode files: one `.npz` an episode, never half-written under its final name.

A name is `TIME-SERIAL-ROWS.npz`, such as `20240131T235959-000000012-183.npz`: the time of writing
(UTC), the episode's number in the order of finishing, and its rows, the reset's included. Names
therefore sort by time and say what they hold without being opened.
"""

import contextlib
import json
import logging
import os
import re
import time
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import numpy as np

from dreamerv2.errors import UsageError
from dreamerv2.replay.rows import REQUIRED, canonical

logger = logging.getLogger(__name__)

_NAME = re.compile(r'(?P<time>\d{8}T\d{6})-(?P<serial>\d+)-(?P<rows>\d+)\.npz')
_DAMAGE = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error)


@dataclass(frozen=True, order=True)
class EpisodeFile:
    """What the name of an episode's file says. Sorts by serial number."""

    serial: int
    rows: int
    path: Path

    @property
    def steps(self) -> int:
        return self.rows - 1


def new_file(directory: Path, serial: int, rows: int) -> EpisodeFile:
    """The name of an episode that is written now."""
    time = datetime.now(timezone.utc).strftime('%Y%m%dT%H%M%S')
    return EpisodeFile(serial, rows, directory / f'{time}-{serial:09d}-{rows}.npz')


def list_files(directory: Path) -> list[EpisodeFile]:
    """Episode files of a directory, oldest first; other `.npz` files are named and left alone."""
    files = []
    for path in sorted(directory.glob('*.npz')):
        match = _NAME.fullmatch(path.name)
        if match:
            files.append(EpisodeFile(int(match['serial']), int(match['rows']), path))
        else:
            logger.warning(
                'Skipped %s: its name is not TIME-SERIAL-ROWS.npz, as of a stored episode.', path
            )
    return sorted(files)


def remove_leftovers(directory: Path) -> None:
    """Delete the temporary files of writes that were interrupted."""
    for path in directory.glob('*.tmp'):
        path.unlink(missing_ok=True)


def write_atomically(path: Path, write) -> None:
    """Call `write(file)` on a temporary file in the same directory, then move it to `path`."""
    temporary = path.with_name(path.name + '.tmp')
    try:
        with open(temporary, 'wb') as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def write_episode(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write a dict of arrays `[rows, ...]` as a compressed `.npz`."""
    write_atomically(path, lambda file: _savez(file, arrays))


def _savez(file, arrays):
    # np.savez_compressed with zlib's fastest level.
    with zipfile.ZipFile(file, 'w', zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for key, value in arrays.items():
            with archive.open(f'{key}.npy', 'w', force_zip64=True) as entry:
                np.lib.format.write_array(entry, np.asarray(value), allow_pickle=False)


def read_array(archive: Mapping[str, np.ndarray], key: str, attempts: int = 10) -> np.ndarray:
    """An array of an open `.npz`.

    NumPy reads an array's header with `ast.literal_eval`, which some versions of Python let fail
    with a SystemError when another thread parses at the same moment; then it is read again.
    """
    for _ in range(attempts - 1):
        try:
            return archive[key]
        except SystemError:
            time.sleep(0.001)
    return archive[key]


def read_episode(file: EpisodeFile) -> dict[str, np.ndarray] | None:
    """All arrays of an episode, or None if the file is damaged, which is said in one line."""
    try:
        with np.load(file.path, allow_pickle=False) as archive:
            arrays = {key: canonical(key, read_array(archive, key)) for key in archive.files}
        missing = [key for key in REQUIRED if key not in arrays]
        if missing:
            raise ValueError(f'it lacks {", ".join(missing)}')
        lengths = {len(value) if value.ndim else 0 for value in arrays.values()}
        if lengths != {file.rows} or not file.rows:
            raise ValueError(f'{sorted(lengths)} rows in place of {file.rows}')
    except _DAMAGE as error:
        reason = ' '.join(str(error).split()) or type(error).__name__
        logger.warning('Skipped damaged episode file %s: %s', file.path, reason)
        return None
    arrays.setdefault('level', np.zeros(file.rows, np.int32))
    return arrays


def move_aside(file: EpisodeFile, folder: str = 'superseded') -> Path:
    """Move a file into a folder beside it, under a name that is free there."""
    target = file.path.parent / folder / file.path.name
    target.parent.mkdir(exist_ok=True)
    number = 1
    while target.exists():
        target = target.with_name(f'{file.path.stem}.{number}.npz')
        number += 1
    os.replace(file.path, target)
    return target


def keep_levels(directory: Path, levels: list[str] | None) -> list[str] | None:
    """Names of the levels that `level` counts, kept in `levels.json` beside the episodes.

    Raises:
        UsageError: the directory's episodes were collected with other levels.
    """
    path = directory / 'levels.json'
    stored = None
    if path.exists():
        try:
            stored = json.loads(path.read_text())
        except ValueError:
            logger.warning('Skipped damaged file %s: it is no JSON list of level names.', path)
    if levels is None:
        return stored
    levels = list(levels)
    if stored is not None and stored != levels:
        raise UsageError(
            f'the episodes in {directory} are of the levels {stored}, not of {levels}: '
            f'use another logdir for this task'
        )
    if stored is None:
        text = json.dumps(levels) + '\n'
        write_atomically(path, lambda file: file.write(text.encode()))
    return levels
