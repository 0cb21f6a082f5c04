"""Checks of a logdir's `metrics.jsonl`."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

from dreamerv2.doctor.rows import Row, failed, ok, warning
from dreamerv2.run.checkpoint import Checkpoint
from dreamerv2.run.metrics.jsonl import METRICS

_SHOWN = 3


@dataclasses.dataclass
class Reader:
    """Reads a file of metrics line by line and collects problems.

    Rows of episodes and evaluations may share a step with others; two rows of updates (those with
    the key `updates`) may not.

    Attributes:
        problems: what is wrong, with the line.
        nulls: losses that were not finite, with their step.
        rows: good rows so far.
        step: of the last row, in frames.
    """

    problems: list[str] = dataclasses.field(default_factory=list)
    nulls: list[str] = dataclasses.field(default_factory=list)
    rows: int = 0
    step: float = 0.0
    _update: tuple[float, float] = (-math.inf, -math.inf)

    def read(self, number: int, line: bytes) -> None:
        """Takes the next line; `number` counts from 1."""
        try:
            row = json.loads(line, parse_constant=_refuse)
            step = row['step']
            if type(step) not in (int, float) or not 0 <= step < math.inf:
                raise ValueError(f'its step is {step!r}')
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            words = 'it has no step' if isinstance(error, KeyError) else str(error)
            self.problems.append(f'line {number} is not a row of metrics ({words})')
            return
        if step < self.step:
            self.problems.append(f'line {number}: step {step} after {self.step}')
        if 'updates' in row:
            self._read_update(number, step, row)
        self.nulls += [
            f'{key} at step {step}'
            for key, value in row.items()
            if value is None and key.partition('/')[0].endswith('_loss')
        ]
        self.step = step
        self.rows += 1

    def _read_update(self, number: int, step: float, row: dict[str, Any]) -> None:
        before, updates = self._update
        if step == before:
            self.problems.append(f'line {number}: a second row of updates at step {step}')
        if type(row['updates']) not in (int, float) or row['updates'] < updates:
            self.problems.append(f'line {number}: {row["updates"]} updates after {updates}')
        else:
            self._update = (step, row['updates'])


def _refuse(name: str) -> None:
    raise ValueError(f'it holds {name}')


def check(path: Path, newest: Checkpoint | None, alive: bool) -> list[Row]:
    """Whether each line is a row of metrics and steps increase.

    Args:
        path: the logdir.
        newest: its newest intact checkpoint.
        alive: whether a run is using the logdir, so that the last line may be incomplete.
    """
    file = path / METRICS
    if not file.exists():
        if newest is None:
            return [ok('metrics', 'none yet')]
        return [failed('metrics', f'{file} is missing', 'restore it from a copy')]
    reader = Reader()
    unfinished = b''
    with open(file, 'rb') as stream:
        for number, line in enumerate(stream, 1):
            if line.endswith(b'\n'):
                reader.read(number, line)
            else:
                unfinished = line
    rows = []
    if reader.problems:
        shown = '; '.join(reader.problems[:_SHOWN])
        more = len(reader.problems) - _SHOWN
        seen = f'{file}: {shown}' + (f'; and {more} more' if more > 0 else '')
        hint = (
            'remove these lines from the file (a resumed run moves those that it cannot read '
            'to metrics.superseded.jsonl by itself)'
        )
        rows.append(failed('metrics', seen, hint))
    if unfinished and not alive:
        seen = f'{file}: the last line is cut off after {len(unfinished)} bytes'
        rows.append(warning('metrics', seen, 'nothing to do: a resumed run moves it away'))
    if reader.nulls:
        seen = f'{file}: {len(reader.nulls)} not finite, first {reader.nulls[0]}'
        hint = 'go back to an earlier checkpoint with a lower model_opt.lr or precision float32'
        rows.append(warning('metrics', seen, hint))
    if not rows:
        rows.append(ok('metrics', f'{reader.rows} rows up to step {reader.step:.0f}'))
    return rows
