"""Checks of a logdir's episode files, with the replay's own reader."""

from __future__ import annotations

import collections
import contextlib
import logging
import logging.handlers
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from dreamerv2.config import Config
from dreamerv2.cores import usable_cores
from dreamerv2.doctor.rows import Row, failed, leftovers, ok, warning, words_of
from dreamerv2.replay import disk
from dreamerv2.replay.disk import EpisodeFile
from dreamerv2.replay.episode import describe_difference
from dreamerv2.run.checkpoint import Checkpoint

_SHOWN = 5  # of many similar rows


def check(path: Path, newest: Checkpoint | None, alive: bool, config: Config | None) -> list[Row]:
    """Checks every file of `train_episodes`, and their totals against the checkpoint's.

    `newest` is the newest intact checkpoint, read before this; `alive`, whether a run uses the
    logdir now.
    """
    folder = path / 'train_episodes'
    if not folder.is_dir():
        missing = failed('episodes', f'{folder} is missing', 'restore it from a copy')
        return [missing if newest else ok('episodes', 'none yet')]
    with _captured(disk.logger) as said:
        files = disk.list_files(folder)
        levels = disk.keep_levels(folder, None)
        hint = 'move it elsewhere, if it is yours; or restore it from a copy'
        rows = [warning('episodes', record.getMessage(), hint) for record in said]
        with ThreadPoolExecutor(min(16, usable_cores())) as pool:
            read = list(pool.map(lambda file: _look(file, levels), files))
    usual: dict[str, Any] = next((spec for flaw, spec in reversed(read) if spec and not flaw), {})
    bad: dict[EpisodeFile, str] = {}
    good = []
    for file, (flaw, spec) in zip(files, read, strict=True):
        if words := flaw or (describe_difference(usual, spec) if spec else ''):
            bad[file] = words
        elif spec:
            good.append(file)
    rows += _bad_rows(bad)
    if good or not bad:
        steps = sum(file.steps for file in good)
        rows.append(ok('episodes', f'{len(good)} files read in full, {steps} steps'))
    names = sorted(path.name for path in folder.glob('*.tmp'))
    rows += leftovers('episodes', folder, names[:_SHOWN], alive)
    return [*rows, check_counts(folder, good, list(bad), newest, config)]


def _look(file: EpisodeFile, levels: Sequence[str] | None) -> tuple[str, dict[str, Any]]:
    """What is wrong with a file, and its rows' shapes and types; both empty if it is gone."""
    try:
        arrays = disk.read_episode(file)
        flaw = flaw_of(arrays, levels)
    except FileNotFoundError:  # A running process deletes those that its replay has no room for.
        return '', {}
    except disk.DamagedEpisodeError as error:
        return str(error).removeprefix(f'{file.path}: '), {}
    except Exception as error:  # An untrusted file may hold anything.
        return words_of(error), {}
    learned = {key: value for key, value in arrays.items() if not key.startswith('log_')}
    return flaw, {key: (value.shape[1:], value.dtype) for key, value in learned.items()}


def flaw_of(arrays: Mapping[str, np.ndarray], levels: Sequence[str] | None) -> str:
    """What is impossible in an episode's content, in words; empty if nothing.

    `arrays` are `[rows, ...]` by name, `levels` the names that `level` indexes, if known.
    """
    for key, row, name in (('is_first', 0, 'first'), ('is_last', -1, 'last')):
        flags = arrays[key]
        if not flags[row] or flags.sum() != 1:
            return f'{key} is not set in its {name} row only'
    if (arrays['is_terminal'] & ~arrays['is_last']).any():
        return 'is_terminal is set before the last row'
    for key, value in arrays.items():
        if value.dtype == np.float32:
            finite = np.isfinite(value).reshape(len(value), -1).all(1)
            if not finite.all():
                return f'{key} is not finite in row {np.argmin(finite)}'
    level = int(arrays['level'][0])
    if levels is not None and not 0 <= level < len(levels):
        return f'its level is number {level}, of {len(levels)}'
    return ''


def _bad_rows(bad: Mapping[EpisodeFile, str]) -> list[Row]:
    hint = 'restore it from a copy; otherwise a resumed run continues without it'
    files = list(bad)
    rows = [failed('episodes', f'{file.path}: {bad[file]}', hint) for file in files[:_SHOWN]]
    if len(bad) > _SHOWN:
        names = ', '.join(file.path.name for file in files[_SHOWN : 4 * _SHOWN])
        rows.append(failed('episodes', f'{len(bad) - _SHOWN} more: {names}', hint))
    return rows


def check_counts(
    folder: Path,
    good: Sequence[EpisodeFile],
    bad: Sequence[EpisodeFile],
    newest: Checkpoint | None,
    config: Config | None,
) -> Row:
    """Checks serial numbers for gaps, and the totals against the checkpoint's.

    The checkpoint's mark is above all episodes that it counts.
    """
    counted = collections.Counter(file.serial for file in (*good, *bad))
    twice = sorted(serial for serial, count in counted.items() if count > 1)
    if twice:
        same = ', '.join(file.path.name for file in (*good, *bad) if file.serial == twice[0])
        seen = f'several files in {folder} have number {twice[0]}: {same}'
        return failed('counts', seen, 'move away those that this run did not write')
    if newest is None:
        steps = sum(file.steps for file in good)
        return ok('counts', f'{len(good)} episodes, {steps} steps, without a checkpoint')
    replay = newest.state['replay']
    mark, totals = int(replay['next_serial']), replay['totals']
    newer = sum(serial >= mark for serial in counted)
    said = f'; {newer} since then' if newer else ''
    own = [file for file in good if file.serial < mark]
    hint = f'restore what is missing to {folder} from a copy; otherwise a run continues without it'
    expected = f'the checkpoint counts {totals["episodes"]} episodes, {totals["steps"]} steps'
    first = 0 if _drops_nothing(totals, config) else min(counted, default=mark)
    moved = {file.serial for file in disk.list_files(folder / 'quarantine')}
    lost = [n for n in range(first, mark) if n not in counted and n not in moved]
    if lost or (totals['episodes'] and not own and not bad):
        numbers = ', '.join(map(str, lost[:_SHOWN])) + (' ...' if len(lost) > _SHOWN else '')
        missing = f'{len(lost)} missing, number {numbers}' if lost else 'there are none'
        return failed('counts', f'{folder}: {missing}; {expected}', hint)
    steps = sum(file.steps for file in own)
    on_disk = f'{len(own)} episodes, {steps} steps'
    if first or bad or moved:
        return ok('counts', f'{on_disk} on disk; {expected}{said}')
    if (len(own), steps) != (totals['episodes'], totals['steps']):
        return failed('counts', f'{folder} has {on_disk}; {expected}', hint)
    return ok('counts', f'{on_disk}, as the checkpoint counts{said}')


def _drops_nothing(totals: Mapping[str, int], config: Config | None) -> bool:
    if config is None:
        return False
    capacity = config.replay.capacity
    return config.replay.keep_on_disk or not capacity or totals['steps'] <= capacity


@contextlib.contextmanager
def _captured(logger: logging.Logger) -> Iterator[list[logging.LogRecord]]:
    """Collects what is logged and stops it from being printed."""
    handler, propagate = logging.handlers.BufferingHandler(sys.maxsize), logger.propagate
    logger.addHandler(handler)
    logger.propagate = False
    try:
        yield handler.buffer
    finally:
        logger.propagate = propagate
        logger.removeHandler(handler)
