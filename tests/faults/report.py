"""How the programs of this folder tell what they found."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dreamerv2.cores import usable_cores


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows of equal keys as a Markdown table."""
    keys = list(rows[0])
    cells = [keys, *[[str(row[key]) for key in keys] for row in rows]]
    widths = [max(len(line[i]) for line in cells) for i in range(len(keys))]
    lines = [
        '| '
        + ' | '.join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        + ' |'
        for line in cells
    ]
    lines.insert(1, '| ' + ' | '.join('-' * width for width in widths) + ' |')
    return '\n'.join(lines)


def machine() -> str:
    """The processors there are."""
    model = 'unknown processor'
    for line in Path('/proc/cpuinfo').read_text().splitlines() if os.path.exists('/proc') else ():
        if line.startswith('model name'):
            model = line.split(':', 1)[1].strip()
    return f'{model}, {usable_cores()} cores'


def tell(rows: Sequence[Mapping[str, Any]], path: Path | None) -> None:
    """Prints a table, and writes the same as JSON if asked to."""
    print(table(rows))
    if path is not None:
        path.write_text(json.dumps({'machine': machine(), 'rows': list(rows)}, indent=2) + '\n')
