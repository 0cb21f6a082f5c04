"""Plays many random histories on the state machines of the replay and of the checkpoint store.

    python -m tests.faults.machines --count 1000

A history that goes wrong is shortened and printed by hypothesis.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.faults import report

ROOT = Path(__file__).resolve().parents[2]
MACHINES = {
    'replay': 'tests/replay/test_replay_machine.py',
    'checkpoint store': 'tests/faults/test_checkpoint_machine.py',
}
# Read by the tests, which play a few histories without it.
COUNT = 'STATE_MACHINE_HISTORIES'


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the program; 0 if every history went as the models say."""
    parser = argparse.ArgumentParser(
        prog='machines', description='Plays random histories on the replay and checkpoint store.'
    )
    parser.add_argument('--count', type=int, default=1000, help='histories of each (1000)')
    parser.add_argument('--json', type=Path, help='write the figures here too')
    arguments = parser.parse_args(argv)
    rows = []
    for name, path in MACHINES.items():
        started = time.perf_counter()
        done = subprocess.run(
            [sys.executable, '-m', 'pytest', '-q', '--show-capture=no', path],
            cwd=ROOT,
            env={**os.environ, COUNT: str(arguments.count)},
            stdout=subprocess.PIPE,
            text=True,
        )
        if done.returncode:
            print(done.stdout, file=sys.stderr)
        rows.append({
            'machine': name,
            'histories': arguments.count,
            'steps of each, at most': 25,
            'result': 'as the model' if done.returncode == 0 else 'not as the model',
            'seconds': round(time.perf_counter() - started),
        })  # fmt: skip
    report.tell(rows, arguments.json)
    return int(any(row['result'] != 'as the model' for row in rows))


if __name__ == '__main__':
    sys.exit(main())
