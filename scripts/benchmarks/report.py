"""Tables of measurements as Markdown or JSON."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dreamerv2.errors import UsageError

from .timing import Spread

BUSY = 0.2  # Cores.

Cell = str | int | float | Spread | None


@dataclasses.dataclass
class Table:
    """A table with a title, and notes that explain it.

    `None` in a cell stands for what does not apply.
    """

    title: str
    columns: Sequence[str]
    rows: list[list[Cell]]
    notes: list[str] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Report:
    """What one command measured, and on which machine."""

    command: str
    machine: dict[str, Any]
    tables: list[Table]
    data: dict[str, Any] = dataclasses.field(default_factory=dict)


def number(value: float) -> str:
    """Three significant digits, without an exponent where that is readable."""
    if value != value:
        return 'nan'
    if abs(value) >= 100 or value == int(value):
        return f'{value:.0f}'
    if abs(value) >= 0.001:
        digits = f'{value:#.3g}'
        return digits.rstrip('.')
    return f'{value:.2g}'


def counted(count: int, noun: str) -> str:
    """`1 step`, `2 steps`."""
    return f'{count} {noun}' if count == 1 else f'{count} {noun}s'


def cell_text(cell: Cell) -> str:
    """One cell; a spread as `median (lowest-highest)`."""
    match cell:
        case None:
            return '-'
        case Spread():
            if cell.count == 1:
                return number(cell.median)
            return f'{number(cell.median)} ({number(cell.low)}-{number(cell.high)})'
        case str():
            return cell
        case _:
            return number(cell)


def as_markdown(report: Report) -> str:
    """Tables for a terminal or a Markdown file, with the command."""
    blocks = [f'`python scripts/bench.py {report.command}`  \n{machine_line(report.machine)}']
    for table in report.tables:
        rows = [[cell_text(cell).replace('|', '\\|') for cell in row] for row in table.rows]
        rows = [list(table.columns), ['---', *['---:'] * (len(table.columns) - 1)], *rows]
        lines = ['| ' + ' | '.join(row) + ' |' for row in rows]
        blocks.append(f'**{table.title}**')
        blocks.append('\n'.join(lines))
        if table.notes:
            blocks.append('\n'.join(f'- {note}' for note in table.notes))
    return '\n\n'.join(blocks)


def as_json(report: Report) -> str:
    """Everything, with a spread as `{median, low, high, count}`."""
    return json.dumps(dataclasses.asdict(report), indent=2, default=float)


def machine_line(machine: dict[str, Any]) -> str:
    """The machine in one line."""
    parts = [f'{machine["processor"]}, {counted(machine["cores"], "core")}']
    parts.append(machine['gpu'] or 'no GPU')
    parts.append(', '.join(f'{name} {version}' for name, version in machine['versions'].items()))
    parts.append(f'revision {str(machine["revision"])[:12]}')
    load = machine['load']
    if load > BUSY:
        parts.append(f'{load:.1f} cores were busy with other programs: the figures are too low')
    return 'Machine: ' + '; '.join(parts) + '.'


def place_in(path: Path, command: str) -> re.Match[str]:
    """The place that a Markdown file has for a command's tables.

    It is what stands between `<!-- bench.py COMMAND -->` and the next `<!-- end -->`.

    Raises:
        UsageError: the file cannot be read, or has no such place.
    """
    try:
        text = path.read_text(encoding='utf-8')
    except (OSError, ValueError) as error:
        raise UsageError(f'--into {path} cannot be read: {error}.') from error
    start = f'<!-- bench.py {command} -->'
    match = re.search(rf'(?<={re.escape(start)}\n).*?(?=<!-- end -->)', text, re.DOTALL)
    if not match:
        raise UsageError(
            f'--into {path}: there is no line {start!r} with <!-- end --> behind it; add both.'
        )
    return match


def insert(path: Path, report: Report) -> None:
    """Writes the tables into the place that a Markdown file has for their command; see above."""
    match = place_in(path, report.command)
    before, after = match.string[: match.start()], match.string[match.end() :]
    path.write_text(f'{before}{as_markdown(report)}\n{after}', encoding='utf-8')
