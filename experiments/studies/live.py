"""Tables on a terminal."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from . import tables
from .jobs import Job
from .state import State, read_states

SECONDS = 5.0
COLORS = {'finished': 'green', 'running': 'cyan', 'failed': 'red', 'blocked': 'red'}


def show(rows: Sequence[Sequence[str]]) -> None:
    """Prints a table whose first row is its head."""
    console = Console()
    console.print(_table(rows, console.width))


def watch(jobs: Sequence[Job]) -> None:
    """Shows the runs' states, again and again, until Ctrl-C."""
    with Live(auto_refresh=False) as live:
        while True:
            live.update(view(jobs, read_states(jobs), live.console.width), refresh=True)
            time.sleep(SECONDS)


def view(jobs: Sequence[Job], states: Mapping[Job, State], width: int) -> Group:
    """The table, what went wrong where it has no column for it, and the sum."""
    rows = tables.status_rows(jobs, states)
    fitted = tables.fitted(rows, width)
    errors = tables.error_lines(jobs, states) if len(fitted[0]) < len(rows[0]) else []
    lines = [*errors, tables.summary_line(states)]
    return Group(_table(fitted, width), *(Text(line) for line in lines))


def _table(rows: Sequence[Sequence[str]], width: int) -> Table:
    rows = tables.fitted(rows, width)
    table = Table(box=None, header_style='bold', pad_edge=False, padding=(0, tables.GAP, 0, 0))
    last = len(rows[0]) - 1
    for column, title in enumerate(rows[0]):
        left = column == 0 or (column == last and not title)
        table.add_column(title, justify='left' if left else 'right', overflow='fold')
    for row in rows[1:]:
        # As text: what stands in square brackets is no markup.
        table.add_row(*(Text(cell, style=COLORS.get(cell, '')) for cell in row))
    return table
