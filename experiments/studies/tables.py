"""What a study consists of and how far it is, as tables of text."""

from __future__ import annotations

import dataclasses
import json
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from .jobs import STAGES, Job
from .state import KINDS, State

HOUR = 3600.0


def plan_rows(jobs: Sequence[Job], states: Mapping[Job, State]) -> list[list[str]]:
    """A row a stage: sets, levels, seeds, runs, those finished, and frames; then the sum."""
    rows = [['stage', 'sets', 'levels', 'seeds', 'runs', 'finished', 'frames']]
    for stage in STAGES:
        own = [job for job in jobs if job.stage == stage]
        if own:
            rows.append([stage, *_counts(own), *_sums(own, states)])
    rows.append(['in all', '', '', '', *_sums(jobs, states)])
    return rows


def _counts(jobs: Sequence[Job]) -> list[str]:
    kinds = ({job.set for job in jobs}, {job.level for job in jobs}, {job.seed for job in jobs})
    return [str(len(kind - {''})) if kind - {''} else '-' for kind in kinds]


def _sums(jobs: Sequence[Job], states: Mapping[Job, State]) -> list[str]:
    finished = sum(states[job].kind == 'finished' for job in jobs)
    return [str(len(jobs)), str(finished), f'{sum(job.frames for job in jobs):.3g}']


def estimate_line(
    jobs: Sequence[Job], states: Mapping[Job, State], assumed: float | None, at_once: int
) -> str:
    """How long what is left will take, at the speed seen in this study or else as assumed."""
    seen = [s.frames_per_second for s in states.values() if s.frames_per_second]
    speed, source = (statistics.median(seen), 'as seen') if seen else (assumed, 'assumed')
    left = sum(max(0, job.frames - states[job].frames) for job in jobs)
    if not left:
        return 'Everything is finished.'
    if speed is None:
        return f'{left:.3g} frames are left; how long that takes is not known yet.'
    hours = left / speed / HOUR
    words = f'{left:.3g} frames are left: about {hours:,.1f} hours of one run'
    if at_once > 1:
        words += f', {hours / at_once:,.1f} hours with {at_once} at a time'
    return f'{words}, at {speed:.0f} frames/s ({source}).'


def status_rows(jobs: Sequence[Job], states: Mapping[Job, State]) -> list[list[str]]:
    """A row a run: what it does, how far it is, how fast, how well, and how long it will take."""
    rows = [['run', 'state', 'frames', 'frames/s', 'return', 'left', '']]
    for job in jobs:
        state = states[job]
        share = f'{state.frames} ({100 * state.frames // job.frames} %)' if state.frames else ''
        rows.append([
            job.name,
            state.kind,
            share,
            _number(state.frames_per_second),
            _number(state.train_return),
            duration(state.seconds_left) if state.kind == 'running' else '',
            state.error if state.kind in ('failed', 'blocked') else state.host,
        ])  # fmt: skip
    return rows


def summary_line(states: Mapping[Job, State]) -> str:
    """Such as `8 runs: 3 finished, 1 running, 4 waiting`."""
    kinds = [state.kind for state in states.values()]
    parts = [f'{kinds.count(kind)} {kind}' for kind in KINDS if kind in kinds]
    return f'{len(kinds)} runs: {", ".join(parts)}'


def as_json(jobs: Sequence[Job], states: Mapping[Job, State]) -> str:
    """The states for programs."""
    rows: list[dict[str, Any]] = [
        {'run': job.name, **job.place, 'budget': job.frames, **dataclasses.asdict(states[job])}
        for job in jobs
    ]
    return json.dumps(rows, indent=2)


def as_text(rows: Sequence[Sequence[str]]) -> str:
    """Columns side by side: the first to the left, the others to the right, free text last."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    left = {0, *([len(widths) - 1] if rows[0][-1] == '' else [])}
    lines = []
    for row in rows:
        cells = [
            cell.ljust(width) if column in left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append('  '.join(cells).rstrip())
    return '\n'.join(lines)


def duration(seconds: float | None) -> str:
    """Such as `3:05 h` or `12 min`; empty where it is not known."""
    if seconds is None:
        return ''
    minutes = round(max(seconds, 0.0) / 60)
    return f'{minutes // 60}:{minutes % 60:02} h' if minutes >= 60 else f'{minutes} min'


def _number(value: float | None) -> str:
    return '' if value is None else f'{value:.0f}'
