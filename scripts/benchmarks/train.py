"""Frames a second of whole training runs, and what they spent their time on.

Runs of the preset at its train ratio, logging included, without evaluations and checkpoints, in
each mode: `synchronous`, where acting and learning take turns, and `async_collect`, where the
learner computes beside the environments. The modes take turns, each time in a process of its own.
"""

from __future__ import annotations

import contextlib
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dreamerv2.config import load_config

from . import emulator, subject, watched
from .children import in_child
from .options import Options
from .report import Report, Table, counted
from .timing import Clock, spread

STEPS = 400  # Agent steps of a repetition.
PREFILL = 1000
PLAIN = 'plain, synchronous'
PARTS = ('begin', 'emulator', 'policy', 'learner')


def measure(
    flags: Sequence[str], steps: int, plain: bool = False, packages: Path | None = None
) -> dict[str, Any]:
    """Trains, and times `steps` agent steps after a warm-up; for a process of its own.

    Args:
        flags: for the configuration.
        steps: agent steps that are timed.
        plain: by the plain formulas in float32, with TensorFlow's own choice of threads.
        packages: a folder with another build of the emulator.

    Returns:
        `seconds`, those of each of `PARTS`, `updates`, and the `precision` computed in.
    """
    config = load_config(list(flags))
    if plain:
        subject.use_default_threads()
        config = config.update(subject.PLAIN)
    warmup = max(5 * config.train_every, steps // 4)
    clock, made = Clock(), 0
    marks: list[tuple[float, dict[str, float], int]] = []

    def on_act(acted: int) -> None:
        if acted >= warmup + steps * len(marks):
            marks.append((time.monotonic(), dict(clock.seconds), made))

    def on_update(_: Any) -> None:
        nonlocal made
        made += 1

    with tempfile.TemporaryDirectory() as folder, emulator.preferred(packages):
        total = config.prefill + warmup + steps + 2 * config.envs
        config = config.update({'logdir': folder, 'steps': total, 'eval_every': 0, 'save_every': 0})
        _, device = watched.train(config, clock, on_act=on_act, on_update=on_update)
    (start, before, first), (end, after, last) = marks[:2]
    parts = {part: after.get(part, 0.0) - before.get(part, 0.0) for part in PARTS}
    updates, seconds = last - first, end - start
    return {**parts, 'seconds': seconds, 'updates': updates, 'precision': device.precision}


def row(name: str, results: Sequence[dict[str, Any]], frames: int) -> list[Any]:
    """Frames and updates a second, and percent of the time that was spent on each part."""
    total = sum(result['seconds'] for result in results)
    spent = {part: 100 * sum(result[part] for result in results) / total for part in PARTS}
    return [
        name,
        results[0]['precision'],
        spread(frames / result['seconds'] for result in results),
        sum(result['updates'] for result in results) / total,
        spent['begin'] + spent['emulator'],
        spent['policy'],
        spent['learner'],
    ]


def run(options: Options) -> Report:
    """Trains in each mode."""
    config = options.config
    steps = options.steps or STEPS
    # A shorter prefill, unless one was asked for: what is learned does not matter here.
    flags = [*options.flags]
    if '--prefill' not in options.overrides:
        flags += ['--prefill', str(min(config.prefill, PREFILL))]
    synchronous = [*flags, '--async_collect', 'False']
    modes: dict[str, tuple[Any, ...]] = {
        'synchronous': (synchronous, steps),
        'async_collect': ([*flags, '--async_collect', 'True'], steps),
    }
    notes = [
        f'{options.spread_note} Each of {counted(steps, "agent step")}, the modes in turn.',
        f'Task {config.task}, {counted(config.envs, "environment")}, an update every '
        f'{counted(config.train_every, "agent step")} of {counted(config.action_repeat, "frame")}.',
        'Percent of the time in environments, policy and learner. In async_collect the learner '
        'computes beside the others; a GPU does so in each mode, until a result is asked for.',
    ]
    with contextlib.ExitStack() as stack:
        if options.plain:
            packages = None
            if config.task.startswith('mario_'):
                packages = stack.enter_context(emulator.plain_build(options.say))
            modes = {PLAIN: (synchronous, steps, True, packages), **modes}
            build = ', and the emulator as pip builds it' if packages else ''
            notes.append(f'Plain: the formulas as they stand (`--kernels plain`){build}.')
        results: dict[str, list[dict[str, Any]]] = {name: [] for name in modes}
        for number in range(options.repeat):
            options.say(f'Training in each mode, {number + 1} of {options.repeat}.')
            for name, arguments in modes.items():
                results[name].append(in_child(measure, *arguments))
    if options.plain:
        notes += [speedup(name, results) for name in list(results)[1:]]
    frames = steps * config.action_repeat
    rows = [row(name, found, frames) for name, found in results.items()]
    columns = ['mode', 'precision', 'frames/s', 'updates/s', 'environments (%)', 'policy (%)']
    table = Table('Training from end to end', [*columns, 'learner (%)'], rows, notes)
    return options.report([table])


def speedup(name: str, results: dict[str, list[dict[str, Any]]]) -> str:
    """How many times as fast as plain a mode is, by the runs made one after the other."""
    pairs = zip(results[PLAIN], results[name], strict=True)
    ratios = [plain['seconds'] / ours['seconds'] for plain, ours in pairs]
    return (
        f'{name}: {statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f}) times as '
        'fast as plain.'
    )
