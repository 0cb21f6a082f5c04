"""How long saving holds training up: checkpoints of a real run, one every few updates.

The run is cut into stretches of one update and the agent steps that go with it. What those in which
a checkpoint is taken or written last longer than the others is what saving costs, be it that the
loop waits or that it only gets slower.
"""

from __future__ import annotations

import dataclasses
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any
from unittest import mock

from dreamerv2.config import load_config
from dreamerv2.run import checkpoint, devices
from dreamerv2.run.checkpoint import snapshots

from .children import in_child
from .instrumented import run_instrumented, stop_run
from .options import Options
from .report import Report, Table, counted
from .timing import Clock, spread
from .train import PREFILL

UPDATES = 6  # From one checkpoint to the next.
WARMUP = 4  # Updates before the first stretch.
WANTED = 5  # Percent of the time that saving may take.

Span = tuple[float, float]


@dataclasses.dataclass(frozen=True)
class Saves:
    """What was measured, in seconds of one clock.

    Attributes:
        marks: the borders of the stretches.
        taken: when the loop gathered each checkpoint.
        written: when each was written, beside the loop.
        size: bytes of a checkpoint.
        device, precision: what the agent was computed on and in.
    """

    marks: list[float]
    taken: list[Span]
    written: list[Span]
    size: int
    device: str
    precision: str

    @property
    def clean(self) -> list[float]:
        """Lengths of the stretches without saving."""
        return [
            after - before
            for before, after in zip(self.marks, self.marks[1:], strict=False)
            if not any(a < after and b > before for a, b in self.busy)
        ]

    @property
    def busy(self) -> list[Span]:
        """From when each checkpoint was begun until it was on disk."""
        return [(a, b) for (a, _), (_, b) in zip(self.taken, self.written, strict=True)]

    @property
    def stalls(self) -> list[float]:
        """What each checkpoint made its stretches last longer."""
        usual = statistics.median(self.clean)
        stalls = []
        for a, b in self.busy:
            pairs = zip(self.marks, self.marks[1:], strict=False)
            touched = [after - before for before, after in pairs if a < after and b > before]
            stalls.append(sum(touched) - usual * len(touched))
        return stalls


def measure(flags: Sequence[str], count: int) -> Saves:
    """Trains until `count` checkpoints are written; for a process of its own."""
    devices.hide_noise()
    config = load_config(list(flags))
    marks: list[float] = []
    taken: list[Span] = []
    written: list[Span] = []
    sizes: list[int] = []

    def on_act(acted: int) -> None:
        if acted < config.train_every * (WARMUP + len(marks)):
            return
        marks.append(time.perf_counter())
        # Whole intervals, and the last checkpoint well written.
        if len(marks) > UPDATES * (count + 1):
            stop_run()

    def timed(function: Callable[..., Any], spans: list[Span]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            begun = time.perf_counter()
            result = function(*args, **kwargs)
            spans.append((begun, time.perf_counter()))
            return result

        return call

    write = timed(checkpoint.save, written)

    def save(*args: Any, **kwargs: Any) -> Any:
        path = write(*args, **kwargs)
        sizes.append(sum(file.stat().st_size for file in path.iterdir()))
        return path

    take = timed(snapshots.Snapshots.take, taken)
    with (
        mock.patch.object(snapshots.Snapshots, 'take', lambda self, *args: take(self, *args)),
        mock.patch.object(checkpoint, 'save', save),
    ):
        every = UPDATES * config.train_every
        device = run_instrumented(config, Clock(), on_act, wait=True, save_every=every)
    # One save is made at the end, behind the last mark.
    inside = sum(b < marks[-1] for _, b in written)
    return Saves(marks, taken[:inside], written[:inside], sizes[0], device.name, device.precision)


def run(options: Options) -> Report:
    """Measures as many checkpoints as there are repetitions."""
    config = options.config
    flags = [*options.flags]
    if '--prefill' not in options.overrides:
        flags += ['--prefill', str(min(config.prefill, PREFILL))]
    options.say('Training, with checkpoints.')
    result = in_child(measure, flags, options.repeat)
    stretch = statistics.median(result.clean)
    stall = statistics.median(result.stalls)
    steps = config.save_every
    interval = steps / config.train_every * stretch
    rate = config.action_repeat * config.train_every / stretch
    # At this many frames a second `WANTED` percent of the time between two would go into one.
    most = WANTED / 100 * steps * config.action_repeat / stall if stall > 0 else None
    whose = 'its' if config.train_every == 1 else 'their'
    between = f'{counted(config.train_every, "agent step")} and {whose} update'
    rows: list[list[Any]] = [
        ['size of a checkpoint (MB)', result.size / 1e6],
        [f'{between} (s)', spread(result.clean)],
        ['gathering, while the loop waits (s)', spread(b - a for a, b in result.taken)],
        ['writing, beside the loop (s)', spread(b - a for a, b in result.written)],
        ['what training lasts longer for each (s)', spread(result.stalls)],
        [f'from one to the next, {counted(steps, "agent step")} (s)', interval],
        ['share of the time (%)', 100 * stall / (interval + stall)],
        [f'frames/s at which it would be {WANTED} %', most],
    ]
    notes = [
        f'Median (lowest-highest) of {counted(len(result.stalls), "checkpoint")}, and of '
        f'{counted(len(result.clean), "stretch", "stretches")} without.',
        f'At {rate:.0f} frames/s, in {result.precision} on {result.device}. Checkpoints were made '
        f'every {UPDATES} updates to measure them; the share is for the interval of the preset.',
    ]
    return options.report([Table('Saving', ['what', 'value'], rows, notes)])
