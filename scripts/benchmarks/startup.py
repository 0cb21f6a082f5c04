"""Seconds from a command to its first update, and of commands that need no TensorFlow."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dreamerv2.errors import UsageError

from .options import Options
from .report import Report, Table, counted
from .timing import spread, time_interleaved

SCRIPTS = Path(__file__).resolve().parents[1]
COMMANDS = {
    'train.py --help': ['dreamerv2.train', '--help'],
    'train.py with an unknown key': ['dreamerv2.train', '--rssm.depth', '3'],
    'train.py with an unknown level': ['dreamerv2.train', '--task', 'mario_9-1'],
    'evaluate.py --help': ['dreamerv2.evaluate', '--help'],
    'evaluate.py without such a logdir': ['dreamerv2.evaluate', 'no-such-logdir'],
    'plot --help': ['dreamerv2.analysis.plot', '--help'],
}


def run_command(arguments: Sequence[str]) -> int:
    """Runs a module of the package to its end; its exit code."""
    command = [sys.executable, '-m', *arguments]
    return subprocess.run(command, cwd=SCRIPTS.parent, capture_output=True, check=False).returncode


def first_update(flags: Sequence[str], logdir: Path) -> dict[str, float]:
    """Trains in a logdir until the next update.

    Returns:
        Seconds from the command to `prefilled` and `updated`.

    Raises:
        UsageError: the run ended before its first update.
    """
    command = [sys.executable, '-m', 'benchmarks.first_update', *flags, '--logdir', str(logdir)]
    start = time.monotonic()
    result = subprocess.run(command, cwd=SCRIPTS, capture_output=True, text=True, check=False)
    for line in result.stdout.splitlines():
        if line.startswith('{"prefilled"'):
            return {key: value - start for key, value in json.loads(line).items()}
    reason = (result.stderr.strip().splitlines() or ['no output'])[-1]
    raise UsageError(f'The run ended with exit code {result.returncode} too early: {reason}')


def run(options: Options) -> Report:
    """Measures commands, then runs from the start, and going on from a checkpoint."""
    fresh, resumed = [], []
    # The evaluation of the untrained agent comes before the second update; it is not start-up.
    flags = [*options.flags, '--eval_every', '0']
    for number in range(options.repeat):
        options.say(f'Training until the first update, {number + 1} of {options.repeat}.')
        with tempfile.TemporaryDirectory() as folder:
            fresh.append(first_update(flags, Path(folder)))
            resumed.append(first_update(flags, Path(folder)))
    rows: list[list[Any]] = [
        [f'first update, with a prefill of {counted(options.config.prefill, "agent step")}',
         spread(times['updated'] for times in fresh)],
        ['... of which after the last random step',
         spread(times['updated'] - times['prefilled'] for times in fresh)],
        ['first update going on from a checkpoint, without prefill',
         spread(times['updated'] for times in resumed)],
    ]  # fmt: skip
    calls = {name: functools.partial(run_command, words) for name, words in COMMANDS.items()}
    samples = time_interleaved(calls, options.repeat, seconds=0)
    rows += [[name, spread(seconds)] for name, seconds in samples.items()]
    names = ' '.join(options.presets)
    notes = [
        options.spread_note,
        'Without evaluations.',
        f'Preset {names}, task {options.config.task}.',
    ]
    return options.report([Table('Start-up', ['from the command', 'seconds'], rows, notes)])
