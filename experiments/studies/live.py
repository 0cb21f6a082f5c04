"""Tables on a terminal."""

from __future__ import annotations

import time
from collections.abc import Sequence

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from . import tables
from .jobs import Job
from .state import read_states

SECONDS = 5.0
COLORS = {'finished': 'green', 'running': 'cyan', 'failed': 'red', 'blocked': 'red'}


def show(rows: Sequence[Sequence[str]]) -> None:
    """Prints a table whose first row is its head."""
    Console().print(_table(rows))


def watch(jobs: Sequence[Job]) -> None:
    """Shows the runs' states, again and again, until Ctrl-C."""
    with Live(auto_refresh=False) as live:
        while True:
            states = read_states(jobs)
            table = _table(tables.status_rows(jobs, states))
            table.caption = tables.summary_line(states)
            live.update(table, refresh=True)
            time.sleep(SECONDS)


def _table(rows: Sequence[Sequence[str]]) -> Table:
    table = Table(box=None, header_style='bold')
    last = len(rows[0]) - 1
    for column, title in enumerate(rows[0]):
        left = column == 0 or (column == last and not title)
        table.add_column(title, justify='left' if left else 'right', overflow='fold')
    for row in rows[1:]:
        # As text: what stands in square brackets is no markup.
        table.add_row(*(Text(cell, style=COLORS.get(cell, '')) for cell in row))
    return table
