"""Lines of `metrics.jsonl` as one series a metric."""

import dataclasses
import json
import math
import re
from collections.abc import Iterable
from typing import Any

import numpy as np

PREFILL = 'train_prefill'
LARGEST_STEP = 2**53

# What a line tells of a training episode, rather than of an update.
_OF_EPISODE = re.compile('(sum_|mean_|max_)?train_')


@dataclasses.dataclass(frozen=True)
class Series:
    """One metric of one run: `steps` int64 `[n]` in frames, ascending; `values` float64 `[n]`."""

    steps: np.ndarray
    values: np.ndarray

    def __len__(self) -> int:
        return len(self.steps)


def parse_lines(lines: Iterable[bytes]) -> tuple[list[tuple[int, dict[str, float]]], int]:
    """Usable lines as (step, finite numbers by name), in file order, and the count of bad ones.

    A line is bad if it is not a JSON object with a `step` from 0. Values that are no finite
    numbers are left out of an otherwise good line.
    """
    rows = []
    bad = 0
    for line in lines:
        if not line.strip():
            continue
        try:
            loaded = json.loads(line)
        except (ValueError, RecursionError):
            bad += 1
            continue
        step = finite(loaded.get('step')) if isinstance(loaded, dict) else None
        if step is None or not 0 <= step <= LARGEST_STEP:
            bad += 1
            continue
        row = {key: finite(value) for key, value in loaded.items() if key != 'step'}
        rows.append((int(step), {key: value for key, value in row.items() if value is not None}))
    return rows, bad


def drop_superseded(
    rows: list[tuple[int, dict[str, float]]],
) -> tuple[list[tuple[int, dict[str, float]]], int]:
    """Rows in order of step without those that a resumed run has lived through again.

    A run that goes on from a checkpoint starts at a lower step than the last one written. What
    had been written past that checkpoint belongs to a past that no longer counts. A single line
    out of order, with the next one going on as before, is no resume and only sorted in.
    """
    kept: list[tuple[int, dict[str, float]]] = []
    dropped = 0
    stray = []
    for index, (step, row) in enumerate(rows):
        if kept and step < kept[-1][0]:
            if index + 1 < len(rows) and rows[index + 1][0] >= kept[-1][0]:
                stray.append((step, row))
                continue
            while kept and kept[-1][0] > step:
                kept.pop()
                dropped += 1
        kept.append((step, row))
    return sorted(kept + stray, key=lambda item: item[0]), dropped


def to_series(
    rows: list[tuple[int, dict[str, float]]],
) -> tuple[dict[str, Series], dict[str, Series]]:
    """Rows in order of step as one series a metric: (after the prefill, of the prefill).

    A row tagged `train_prefill` gives its episode's values to the prefill's series; all else in
    it, such as a loss, counts as ever.
    """
    columns: tuple[dict, dict] = ({}, {})
    for step, row in rows:
        tagged = bool(row.get(PREFILL))
        for key, value in row.items():
            if key == PREFILL:
                continue
            column = columns[tagged and bool(_OF_EPISODE.match(key))].setdefault(key, ([], []))
            column[0].append(step)
            column[1].append(value)
    after, before = (
        {
            key: Series(np.array(steps, np.int64), np.array(values, np.float64))
            for key, (steps, values) in part.items()
        }
        for part in columns
    )
    return after, before


def finite(value: Any) -> float | None:
    """`value` as a finite float, or None where it is no finite number."""
    if not isinstance(value, (int, float)):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None
