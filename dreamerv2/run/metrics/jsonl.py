"""`metrics.jsonl`: one JSON object a line, each with its `step` in frames."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from dreamerv2.durable import fsync, write_durably

METRICS = 'metrics.jsonl'
SUPERSEDED = 'metrics.superseded.jsonl'


def json_line(step: int, values: Mapping[str, Any]) -> str:
    """One line without a newline; numbers that JSON does not have (NaN, infinities) become null."""
    plain: dict[str, Any] = {'step': step}
    for key, value in values.items():
        number = float(value)
        if not math.isfinite(number):
            plain[key] = None
        else:
            plain[key] = int(number) if number.is_integer() and abs(number) < 2**53 else number
    return json.dumps(plain, allow_nan=False)


def truncate(logdir: Path, step: int) -> int:
    """Removes the lines after `step`, and unreadable ones, from `metrics.jsonl`.

    They are appended to `metrics.superseded.jsonl`: a run that resumes from a checkpoint makes
    those steps again.

    Returns:
        The number of lines moved.
    """
    path = logdir / METRICS
    kept: list[bytes] = []
    moved: list[bytes] = []
    for line in path.read_bytes().splitlines() if path.exists() else ():
        row = _parsed(line)
        (kept if row and row[0] <= step else moved).append(line + b'\n')
    if moved:
        with open(logdir / SUPERSEDED, 'ab') as file:
            file.writelines(moved)
            fsync(file)
        write_durably(path, b''.join(kept))
    return len(moved)


def rows(logdir: Path, size: int) -> Iterator[tuple[int, dict[str, float]]]:
    """Step and metrics of each line in the first `size` bytes; unreadable lines are left out."""
    with (logdir / METRICS).open('rb') as file:
        for line in file:
            size -= len(line)
            if size >= 0 and (row := _parsed(line)):
                yield row


def make_durable(logdir: Path) -> None:
    """Makes the lines durable that were written so far."""
    with (logdir / METRICS).open('ab') as file:
        fsync(file)


class JsonLines:
    """Appends to `metrics.jsonl`; a line cut short by a crash is terminated first."""

    def __init__(self, logdir: Path) -> None:
        path = logdir / METRICS
        broken = path.exists() and path.stat().st_size and not path.read_bytes().endswith(b'\n')
        self._file: IO[str] = path.open('a', encoding='utf-8')
        if broken:
            self._file.write('\n')

    def write(self, step: int, scalars: Mapping[str, Any], videos: Mapping[str, Any]) -> None:
        """Appends a line with the scalars; videos are ignored."""
        if scalars:
            self._file.write(json_line(step, scalars) + '\n')
            self._file.flush()

    def close(self) -> None:
        """Makes the lines durable and closes the file."""
        fsync(self._file)
        self._file.close()


def _parsed(line: bytes) -> tuple[int, dict[str, float]] | None:
    try:
        row = json.loads(line)
        step = int(row.pop('step'))
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
        return None
    return step, {key: math.nan if value is None else value for key, value in row.items()}
