"""Is a run that was stopped and went on the same, bit for bit, as one that was not?

    python -m tests.faults.resume --configs mario debug --stops 20 --precision float32 bfloat16

For each precision: one run straight through, and one that is sent a signal after a random number of
steps, again and again, and goes on each time. Then their last checkpoints (weights, moments,
counters, random states, the next batch, unfinished episodes) and their metrics are compared.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dreamerv2.run import checkpoint

ROOT = Path(__file__).resolve().parents[2]
TRAIN = ROOT / 'dreamerv2' / 'train.py'
STOPPED = 75
# What depends on the clock, or on when episodes are compressed and loaded.
OF_TIME = ('fps', 'train_ratio', 'replay_bytes')


def start(logdir: Path, arguments: Sequence[str]) -> subprocess.Popen[str]:
    """A training run in a process of its own."""
    return subprocess.Popen(
        [sys.executable, str(TRAIN), '--logdir', str(logdir), *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, 'PYTHONPATH': str(ROOT)},
    )


def finish(process: subprocess.Popen[str]) -> int:
    """Waits for a run's end; its exit code. Raises RuntimeError with its words if it crashed."""
    _, errors = process.communicate()
    if process.returncode not in (0, STOPPED):
        raise RuntimeError(f'a run ended with {process.returncode}: {errors}')
    return process.returncode


def stop_at(process: subprocess.Popen[str], logdir: Path, lines: int, delay: float) -> int:
    """Sends SIGTERM `delay` seconds after the run has logged so many lines; its exit code."""
    metrics = logdir / 'metrics.jsonl'
    while process.poll() is None and logged(metrics) < lines:
        time.sleep(0.01)
    time.sleep(delay)
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    return finish(process)


def logged(metrics: Path) -> int:
    """Lines of a metrics file so far."""
    try:
        return metrics.read_bytes().count(b'\n')
    except FileNotFoundError:
        return 0


def differences(one: Path, other: Path) -> list[str]:
    """In what the ends of two runs differ, by name."""
    first, second = checkpoint.find(one), checkpoint.find(other)
    found = [] if first.frames == second.frames else ['frames']
    if first.state != second.state:
        keys = first.state.keys() | second.state.keys()
        found += [f'state.{k}' for k in sorted(keys) if first.state.get(k) != second.state.get(k)]
    arrays, others = first.arrays(), second.arrays()
    names = sorted(arrays.keys() | others.keys())
    found += [name for name in names if not same(arrays.get(name), others.get(name))]
    for file in (checkpoint.BATCH, checkpoint.UNFINISHED):
        with np.load(first.path / file) as mine, np.load(second.path / file) as theirs:
            names = sorted({*mine.files, *theirs.files})
            keys = {*mine.files} & {*theirs.files}
            found += [f'{file}/{n}' for n in names if n not in keys or not same(mine[n], theirs[n])]
    if metric_rows(one) != metric_rows(other):
        found.append('metrics.jsonl')
    return found


def same(one: np.ndarray | None, other: np.ndarray | None) -> bool:
    """Whether two arrays are the same, bit for bit."""
    if one is None or other is None:
        return False
    return (
        one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()
    )


def metric_rows(logdir: Path) -> list[dict[str, object]]:
    """The lines of `metrics.jsonl` without what depends on the clock."""
    rows = [json.loads(line) for line in (logdir / 'metrics.jsonl').read_text().splitlines()]
    return [{k: v for k, v in row.items() if k not in OF_TIME} for row in rows]


def compare(root: Path, arguments: Sequence[str], stops: int, seed: int = 0) -> dict[str, object]:
    """One straight run and one stopped `stops` times; where and in what they differ.

    Returns:
        `stops`: frames at which it was stopped; `differences`: names, none if they are the same.
    """
    straight, parts = root / 'straight', root / 'parts'
    finish(start(straight, arguments))
    last = logged(straight / 'metrics.jsonl')
    frames = []
    rng = random.Random(seed)
    for line in sorted(rng.sample(range(1, last), min(stops, last - 1))):
        process = start(parts, arguments)
        if stop_at(process, parts, line, rng.uniform(0, 0.3)) != STOPPED:
            break
        frames.append(checkpoint.find(parts).frames)
    finish(start(parts, arguments))
    return {'stops': frames, 'differences': differences(straight, parts)}


def main(argv: Sequence[str] | None = None) -> int:
    """The command; 0 where everything was the same, else 1."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--configs', nargs='+', default=['mario', 'debug'])
    parser.add_argument('--precision', nargs='+', default=['float32', 'bfloat16'])
    parser.add_argument('--stops', type=int, default=20)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--flags', nargs=argparse.REMAINDER, default=[], help='for train.py')
    args = parser.parse_args(argv)
    failed = False
    for precision in args.precision:
        arguments = ['--configs', *args.configs, '--precision', precision, *args.flags]
        with tempfile.TemporaryDirectory() as folder:
            found = compare(Path(folder), arguments, args.stops, args.seed)
        failed |= bool(found['differences'])
        print(json.dumps({'precision': precision, **found}), flush=True)
    return int(failed)


if __name__ == '__main__':
    sys.exit(main())
