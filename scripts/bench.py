"""Measures how fast everything is: `python scripts/bench.py WHAT [--preset P] [--json]`.

`--help` lists what can be measured. Results stand in `experiments/results/speed.md`, with the
command for each.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

from benchmarks import machine, report
from benchmarks.options import parse

from dreamerv2.errors import UsageError
from dreamerv2.run import devices

BAD_INPUT = 2
INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Measures and prints; returns the exit code: 0, or 2 for bad input."""
    devices.hide_noise()
    devices.separate_stderr()
    try:
        options = parse(sys.argv[1:] if argv is None else argv)
        if options.into:
            report.place_in(options.into, options.command)
        options.machine = machine.describe()
        result = importlib.import_module(f'benchmarks.{options.what}').run(options)
        if options.into:
            report.insert(options.into, result)
    except UsageError as error:
        print(error, file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        print('Interrupted.', file=sys.stderr)
        return INTERRUPTED
    print(report.as_json(result) if options.json else report.as_markdown(result))
    return 0


if __name__ == '__main__':
    sys.exit(main())
