"""The plan and the progress of a study, as tables of text and on a terminal."""

from __future__ import annotations

import dataclasses
import json
import statistics
import time
from collections.abc import Mapping, Sequence

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from dreamerv2.studies.definition import Job
from dreamerv2.studies.state import KINDS, State, read_states

GAP = 2  # blanks between columns
# Columns to drop on a narrow terminal, in this order.
DISPENSABLE = ('', 'frames/s', 'return', 'frames', 'left', 'sets', 'levels', 'seeds', 'finished')
SECONDS = 5.0
COLORS = {'finished': 'green', 'running': 'cyan', 'failed': 'red', 'blocked': 'red'}


def plan_rows(jobs: Sequence[Job], states: Mapping[Job, State]) -> list[list[str]]:
    """A row per setting and stage: sets, levels, seeds, runs, finished runs, frames; the total."""
    rows = [['stage', 'sets', 'levels', 'seeds', 'runs', 'finished', 'frames']]
    stages: dict[str, list[Job]] = {}
    for job in jobs:
        stages.setdefault(f'{job.setting}/{job.study["stage"]}'.lstrip('/'), []).append(job)
    for name, own in stages.items():
        kinds = [{job.study[key] for job in own} - {''} for key in ('set', 'level', 'seed')]
        counts = [str(len(kind)) if kind else '-' for kind in kinds]
        rows.append([name, *counts, *_sums(own, states)])
    rows.append(['in all', '', '', '', *_sums(jobs, states)])
    return rows


def _sums(jobs: Sequence[Job], states: Mapping[Job, State]) -> list[str]:
    finished = sum(states[job].kind == 'finished' for job in jobs)
    return [str(len(jobs)), str(finished), count(sum(job.frames for job in jobs))]


def estimate_line(
    jobs: Sequence[Job], states: Mapping[Job, State], assumed: float | None, at_once: int
) -> str:
    """How long the rest will take, at the speed measured in this study or else the assumed one."""
    seen = [s.frames_per_second for s in states.values() if s.frames_per_second]
    speed, source = (statistics.median(seen), 'as seen') if seen else (assumed, 'assumed')
    left = sum(max(0, job.frames - states[job].frames) for job in jobs)
    if not left:
        return 'Everything is finished.'
    if speed is None:
        return f'{count(left)} frames are left; how long that takes is not known yet.'
    seconds = left / speed
    words = f'{count(left)} frames are left: {in_words(seconds)} of one run'
    if at_once > 1:
        words += f', {in_words(seconds / at_once)} with {at_once} at a time'
    return f'{words}, at {speed:.0f} frames/s ({source}).'


def status_rows(jobs: Sequence[Job], states: Mapping[Job, State]) -> list[list[str]]:
    """A row per run: what it is, progress, speed, return, and time left."""
    rows = [['run', 'state', 'frames', 'done', 'frames/s', 'return', 'left', '']]
    for job in jobs:
        state = states[job]
        rows.append([
            job.name,
            state.kind,
            f'{state.frames:,}' if state.frames else '',
            f'{100 * state.frames // job.frames} %' if state.frames else '',
            _number(state.frames_per_second),
            _number(state.train_return),
            duration(state.seconds_left) if state.kind == 'running' else '',
            state.error if state.kind in ('failed', 'blocked') else state.host,
        ])  # fmt: skip
    return rows


def fitted(rows: Sequence[Sequence[str]], width: int) -> list[list[str]]:
    """A table without the columns that do not fit a terminal of this width."""
    kept = list(range(len(rows[0])))
    for title in DISPENSABLE:
        if sum(max(len(row[c]) for row in rows) + GAP for c in kept) - GAP <= width:
            break
        kept = [column for column in kept if rows[0][column] != title]
    return [[row[column] for column in kept] for row in rows]


def summary_line(states: Mapping[Job, State]) -> str:
    """Such as `8 runs: 3 finished, 1 running, 4 waiting`."""
    kinds = [state.kind for state in states.values()]
    parts = [f'{kinds.count(kind)} {kind}' for kind in KINDS if kind in kinds]
    return f'{len(kinds)} runs: {", ".join(parts)}'


def as_json(jobs: Sequence[Job], states: Mapping[Job, State]) -> str:
    """The states as JSON."""
    rows = [
        {'run': job.name, **job.study, 'budget': job.frames, **dataclasses.asdict(states[job])}
        for job in jobs
    ]
    return json.dumps(rows, indent=2)


def as_text(rows: Sequence[Sequence[str]]) -> str:
    """Columns as text: the first left-aligned, the others right-aligned, free text last."""
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


def count(number: int) -> str:
    """Such as `64,000`, `1.92M` or `1,600M`."""
    if number < 1_000_000:
        return f'{number:,}'
    millions = number / 1e6
    digits = 0 if millions >= 100 else 1 if millions >= 10 else 2
    whole, point, rest = f'{millions:,.{digits}f}'.partition('.')
    return f'{whole}{point}{rest}'.rstrip('0').rstrip('.') + 'M' if point else f'{whole}M'


def in_words(seconds: float) -> str:
    """Such as `less than a minute`, `about 12 minutes`, `about 3.5 hours`, `about 5,772 hours`."""
    minutes, hours = round(seconds / 60), seconds / 3600
    if seconds < 60:
        return 'less than a minute'
    if minutes < 60:
        return f'about {minutes} minute{"s" if minutes > 1 else ""}'
    amount = f'{hours:.1f}'.removesuffix('.0') if hours < 100 else f'{hours:,.0f}'
    return f'about {amount} hour{"" if amount == "1" else "s"}'


def duration(seconds: float | None) -> str:
    """Such as `3:05 h` or `12 min`; empty where unknown."""
    if seconds is None:
        return ''
    minutes = round(max(seconds, 0.0) / 60)
    if minutes >= 60:
        return f'{minutes // 60}:{minutes % 60:02} h'
    return f'{minutes} min' if minutes else 'now' if seconds <= 0 else '< 1 min'


def show(rows: Sequence[Sequence[str]]) -> None:
    """Prints a table whose first row is the header."""
    console = Console()
    console.print(_table(fitted(rows, console.width)))


def watch(jobs: Sequence[Job]) -> None:
    """Shows the runs' states, updated until Ctrl-C."""
    with Live(auto_refresh=False) as live:
        while True:
            live.update(view(jobs, read_states(jobs), live.console.width), refresh=True)
            time.sleep(SECONDS)


def view(jobs: Sequence[Job], states: Mapping[Job, State], width: int) -> Group:
    """The table, the errors if they have no column, and the summary."""
    rows = status_rows(jobs, states)
    shown = fitted(rows, width)
    errors = [f'{job.name}: {states[job].error}' for job in jobs if states[job].error]
    lines = [*(errors if len(shown[0]) < len(rows[0]) else []), summary_line(states)]
    return Group(_table(shown), *map(Text, lines))


def _table(rows: Sequence[Sequence[str]]) -> Table:
    table = Table(box=None, header_style='bold', pad_edge=False, padding=(0, GAP, 0, 0))
    last = len(rows[0]) - 1
    for column, title in enumerate(rows[0]):
        left = column == 0 or (column == last and not title)
        table.add_column(title, justify='left' if left else 'right', overflow='fold')
    for row in rows[1:]:
        # As plain text: square brackets are not markup.
        table.add_row(*(Text(cell, style=COLORS.get(cell, '')) for cell in row))
    return table


def _number(value: float | None) -> str:
    return '' if value is None else f'{value:,.0f}' if abs(value) >= 10 else f'{value:.1f}'
