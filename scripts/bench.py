"""Measures speed and memory: `python scripts/bench.py WHAT [--preset P] [--json]`.

`--help` lists what can be measured. Results are in `experiments/results/speed.md`, with the command
for each.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

from benchmarks import machine, report
from benchmarks.options import parse

from dreamerv2.cli import exit_code_of


def run(argv: Sequence[str]) -> None:
    """Measures and prints. Raises UsageError for a mistake in the command line."""
    options = parse(argv)
    if options.into:
        report.place_in(options.into, options.command)
    options.machine = machine.describe()
    result = importlib.import_module(f'benchmarks.{options.what}').run(options)
    if options.into:
        report.insert(options.into, result)
    print(report.as_json(result) if options.json else report.as_markdown(result))


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    return exit_code_of(run, argv)


if __name__ == '__main__':
    sys.exit(main())
