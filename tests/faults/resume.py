"""Is a run that was stopped or killed and went on the same, bit for bit, as one that was not?

    python -m tests.faults.resume --configs mario debug --stops 20 --precision float32 bfloat16
    python -m tests.faults.resume --configs mario debug --stops 30 --signal SIGKILL
    python -m tests.faults.resume --configs mario_small --every 120 --signal SIGKILL --beside

For each precision: one run straight through, and one that gets a signal after a random number of
logged lines, or some seconds after it started, and goes on each time. Then their last checkpoints
(weights, moments, counters, random states, the next batch, unfinished episodes) and their metrics
are compared. With SIGKILL a run goes on from its last checkpoint and does again what came after it.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dreamerv2.run import checkpoint
from dreamerv2.run.background import background

ROOT = Path(__file__).resolve().parents[2]
TRAIN = ROOT / 'dreamerv2' / 'train.py'
STOPPED = 75
# What depends on the clock, or on when episodes are compressed and loaded.
OF_TIME = ('fps', 'train_ratio', 'replay_bytes')

Due = Callable[[int, float], bool]  # Whether to interrupt: logged lines, seconds since the start.


def start(logdir: Path, arguments: Sequence[str], core: int | None = None) -> subprocess.Popen[str]:
    """A training run in a process of its own, on one core where that is given."""
    pinned = [] if core is None else ['taskset', '--cpu-list', str(core)]
    return subprocess.Popen(
        [*pinned, sys.executable, str(TRAIN), '--logdir', str(logdir), *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, 'PYTHONPATH': str(ROOT)},
    )


def finish(process: subprocess.Popen[str], number: int = signal.SIGTERM) -> int:
    """Waits for a run's end; its exit code. Raises RuntimeError with its words if it crashed."""
    _, errors = process.communicate()
    if process.returncode not in (0, STOPPED, -number):
        raise RuntimeError(f'a run ended with {process.returncode}: {errors}')
    return process.returncode


@dataclasses.dataclass(frozen=True)
class Stop:
    """One interruption.

    Attributes:
        frames: where the newest checkpoint was afterwards, 0 where there was none.
        lost: frames that had been logged beyond it.
        seconds: from the start of the process until its metrics file changed.
        ending: seconds from the signal until the end of the process.
    """

    frames: int
    lost: int
    seconds: float
    ending: float


def interrupt(
    process: subprocess.Popen[str], logdir: Path, number: int, due: Due, delay: float
) -> Stop | None:
    """Sends a signal `delay` seconds after it is due; None where the run ends before.

    Only after the first new line: before, the run does not answer signals in its own way.

    SIGKILL waits for the first checkpoint: without one a run keeps its episodes and plays others.
    """
    metrics, saved = logdir / 'metrics.jsonl', logdir / 'checkpoints'
    lasting = number != signal.SIGKILL
    started, first = time.monotonic(), 0.0
    # The run cuts the file back when it goes on: what is new is told by the file's changes.
    before = stamp(metrics)
    while process.poll() is None:
        now = time.monotonic()
        if not first and stamp(metrics) != before:
            first = now
        lasting = lasting or bool(checkpoint.available(saved))
        if lasting and first and due(logged(metrics), now - started):
            break
        time.sleep(0.01)
    time.sleep(delay)
    asked = time.monotonic()
    if process.poll() is None:
        process.send_signal(number)
    if finish(process, number) == 0:
        return None
    ending = time.monotonic() - asked
    last = max((int(row['step']) for row in rows_of(metrics)), default=0)
    kept = checkpoint.available(saved)
    frames = int(kept[-1].name) if kept else 0
    return Stop(frames, max(0, last - frames), first - started, ending)


def stamp(path: Path) -> tuple[int, int]:
    """Size and time of change of a file; zeros where there is none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return 0, 0
    return found.st_size, found.st_mtime_ns


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
    rows = rows_of(logdir / 'metrics.jsonl')
    return [{k: v for k, v in row.items() if k not in OF_TIME} for row in rows]


def rows_of(metrics: Path) -> list[dict[str, Any]]:
    """The whole lines of a metrics file; a run that was killed may have left half a line."""
    text = metrics.read_text() if metrics.exists() else ''
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith('\n')]


def compare(
    root: Path,
    arguments: Sequence[str],
    stops: int,
    *,
    numbers: Sequence[int] = (signal.SIGTERM,),
    every: float = 0.0,
    beside: bool = False,
    seed: int = 0,
) -> dict[str, Any]:
    """One straight run and one that is interrupted; where, and in what they differ.

    Args:
        root: an empty folder for both.
        arguments: for `train.py`.
        stops: how often it is interrupted, at most.
        numbers: the signals, taken in turn.
        every: seconds of each process until its interruption; 0 for random moments.
        beside: both runs at once, each on a core of its own; needs `every`.
        seed: of the random moments.

    Returns:
        `stops`: a `Stop` for each; `differences`: names, none if the runs are the same;
        `seconds`: of the interrupted run, all its processes together;
        `share`: the straight run's seconds over these.
    """
    straight, parts = root / 'straight', root / 'parts'
    unbroken = background(lambda: unbroken_seconds(straight, arguments, beside), 'straight')
    if not beside:
        unbroken.result()
    if every:
        moments = [(at_time(every), 0.0)] * stops
    else:
        last, rng = logged(straight / 'metrics.jsonl'), random.Random(seed)
        lines = sorted(rng.sample(range(1, last), min(stops, last - 1)))
        moments = [(at_line(line), rng.uniform(0, 0.3)) for line in lines]
    core = max(os.sched_getaffinity(0)) if beside else None
    found: list[Stop] = []
    began = time.monotonic()
    for (due, delay), number in zip(moments, itertools.cycle(numbers), strict=False):
        stop = interrupt(start(parts, arguments, core), parts, number, due, delay)
        if stop is None:
            break
        found.append(stop)
    finish(start(parts, arguments, core))
    seconds = time.monotonic() - began
    return {
        'share': unbroken.result() / seconds,
        'stops': found,
        'differences': differences(straight, parts),
        'seconds': seconds,
    }


def at_line(line: int) -> Due:
    """Due once so many lines are logged."""
    return lambda count, _: count >= line


def at_time(limit: float) -> Due:
    """Due so many seconds after the start of the process."""
    return lambda _, seconds: seconds >= limit


def unbroken_seconds(logdir: Path, arguments: Sequence[str], beside: bool) -> float:
    """Makes a run straight through, on the first core if there is one beside it; how long it took.

    Raises RuntimeError with its words if it crashed.
    """
    began = time.monotonic()
    finish(start(logdir, arguments, min(os.sched_getaffinity(0)) if beside else None))
    return time.monotonic() - began


def main(argv: Sequence[str] | None = None) -> int:
    """The command; 0 where runs were interrupted and everything was the same, else 1."""
    parser = argparse.ArgumentParser(prog='resume', description=__doc__.splitlines()[0])
    parser.add_argument('--configs', nargs='+', default=['mario', 'debug'])
    parser.add_argument('--precision', nargs='+', default=['float32', 'bfloat16'])
    parser.add_argument('--stops', type=int, default=20, help='at most (%(default)s)')
    parser.add_argument(
        '--every', type=float, default=0.0, metavar='SECONDS', help='default: at random moments'
    )
    parser.add_argument(
        '--beside', action='store_true', help='both runs at once, on a core each; with --every'
    )
    parser.add_argument('--signal', choices=('SIGTERM', 'SIGINT', 'SIGKILL'), default='SIGTERM')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--flags', nargs=argparse.REMAINDER, default=[], help='for train.py')
    args = parser.parse_args(argv)
    if args.beside and (not args.every or len(os.sched_getaffinity(0)) < 2):
        parser.error('--beside needs --every SECONDS and two cores')
    failed = False
    for precision in args.precision:
        arguments = ['--configs', *args.configs, '--precision', precision, *args.flags]
        number = int(signal.Signals[args.signal])
        with tempfile.TemporaryDirectory() as folder:
            found = compare(
                Path(folder), arguments, args.stops,
                numbers=[number], every=args.every, beside=args.beside, seed=args.seed,
            )  # fmt: skip
        failed |= bool(found['differences']) or not found['stops']
        print(summary(precision, found), flush=True)
    return int(failed)


def summary(precision: str, found: Mapping[str, Any]) -> str:
    """What `compare` found, in words."""
    stops, different = found['stops'], found['differences']
    if not stops:
        return f'{precision}: never interrupted, the run is too short or logs too seldom'
    lines = [
        f'{precision}: {len(stops)} interruptions, at frames '
        f'{", ".join(str(stop.frames) for stop in stops)}',
        f'  the same as an unbroken run: {"yes" if not different else "NO"}'
        + (f' ({len(different)} differ: {", ".join(different[:5])})' if different else ''),
        f'  share of effective time: {found["share"]:.2f} (in all {found["seconds"]:.0f} s)',
    ]
    lost, seconds = [stop.lost for stop in stops], [stop.seconds for stop in stops]
    endings = [stop.ending for stop in stops]
    lines += [
        f'  frames logged and done again: median {statistics.median(lost):g}, most {max(lost)}',
        '  seconds from start to the first change of metrics.jsonl: median '
        f'{statistics.median(seconds):.1f}, most {max(seconds):.1f}',
        f'  seconds from the signal to the end: median {statistics.median(endings):.1f}, '
        f'most {max(endings):.1f}',
    ]
    return '\n'.join(lines)


if __name__ == '__main__':
    sys.exit(main())
