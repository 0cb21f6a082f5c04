"""Frames a second of whole training runs, and what their loop waited for.

Runs of the preset at its train ratio, logging included, without evaluations and checkpoints, in
each mode: `synchronous`, where acting and learning take turns, and `async_collect`, where the
learner computes beside the environments. On a GPU, whose work the loop does not wait for, a third
run waits for each update, so that its time is not counted as the policy's. Their stretches take
turns, so that whatever slows the machine down for a while slows all of them down alike.
"""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from . import emulator
from .children import in_turn
from .instrumented import PARTS, Segments, measure_segments
from .options import Options
from .report import Report, Table, counted
from .timing import spread

STEPS = 400  # Agent steps of a repetition.
PREFILL = 1000


PLAIN = 'plain, synchronous'


@dataclasses.dataclass(frozen=True)
class Mode:
    """A way to train.

    Attributes:
        flags: for the configuration.
        wait: whether each update is waited for.
        plain: whether the agent computes by the plain formulas.
        packages: where another build of the emulator is.
    """

    flags: list[str]
    wait: bool = False
    plain: bool = False
    packages: Path | None = None


def modes(options: Options, packages: Path | None = None) -> dict[str, Mode]:
    """The modes by name; `packages` for the plain one."""
    in_turns = ['--async_collect', 'False']
    found = {'synchronous': Mode(in_turns), 'async_collect': Mode(['--async_collect', 'True'])}
    if options.plain:
        found = {PLAIN: Mode(in_turns, plain=True, packages=packages), **found}
    if options.machine.get('gpu') and options.config.device != 'cpu':
        found['synchronous, waiting'] = Mode(in_turns, wait=True)
    return found


def row(name: str, result: Segments) -> list[Any]:
    """Frames and updates a second, and percent of the time that the loop spent on each part."""
    total = sum(result.seconds)
    spent = {key: sum(part.get(key, 0.0) for part in result.parts) for key in (*PARTS, 'busy')}
    busy = spent['busy']
    if not any('learner' in part for part in result.parts):
        spent['learner'] = busy  # The loop computes the updates itself.
    shares = [100 * spent[part] / total for part in PARTS]
    rest = 100 - sum(shares)
    return [
        name,
        result.precision,
        spread(result.frames_per_second),
        sum(result.updates) / total,
        *shares,
        rest,
        PARTS[max(range(len(PARTS)), key=lambda index: shares[index])],
        100 * busy / total,
    ]


def measure(options: Options, folder: Path) -> tuple[dict[str, Segments], list[str]]:
    """All modes in turn, and notes on how; the folder is for another build of the emulator."""
    config = options.config
    steps = options.steps or STEPS
    notes, packages = [], None
    if options.plain:
        notes = ['Plain: the formulas as they stand (`--kernels plain`).']
        if config.task.startswith('mario_'):
            options.say('Building the plain emulator.')
            problem = emulator.build_plain(folder)
            packages = None if problem else folder
            build = f'of scripts/setup.sh ({problem})' if problem else 'as pip builds it'
            notes = [f'{notes[0][:-1]}, and the emulator {build}.']
    warmup = max(5 * config.train_every, steps // 4)
    # A shorter prefill, unless one was asked for: what is learned does not matter here.
    shorter = ['--prefill', str(min(config.prefill, PREFILL))]
    common = [*options.flags, *(shorter if '--prefill' not in options.overrides else [])]
    jobs = {}
    for name, mode in modes(options, packages).items():
        flags = [*common, *mode.flags]
        arguments = flags, options.repeat, steps, warmup, mode.wait, mode.plain, mode.packages
        jobs[name] = measure_segments, arguments
    options.say(f'Training: {"; ".join(jobs)}.')
    return in_turn(jobs), notes


def speedups(results: Mapping[str, Segments]) -> list[str]:
    """For each mode a line that says how many times as fast as plain it is, round by round."""
    lines = []
    for name, result in results.items():
        if name != PLAIN and PLAIN in results:
            pairs = zip(results[PLAIN].seconds, result.seconds, strict=True)
            ratio = spread(plain / ours for plain, ours in pairs)
            lines.append(
                f'{name[:1].upper()}{name[1:]}, {result.precision}: {ratio.median:.2f} '
                f'({ratio.low:.2f}-{ratio.high:.2f}) times as fast as plain.'
            )
    return lines


def run(options: Options) -> Report:
    """Trains in each mode."""
    config = options.config
    with tempfile.TemporaryDirectory() as folder:
        results, how = measure(options, Path(folder).resolve())
    rows = [row(name, result) for name, result in results.items()]
    best = max(rows, key=lambda row: row[2].median)
    if not options.machine.get('gpu'):
        rows.append(['on a GPU', 'not measured: no GPU', *[None] * 9])
    columns = ['mode', 'precision', 'frames/s', 'updates/s']
    columns += [f'{part} (%)' for part in PARTS]
    columns += ['rest (%)', 'most waited for', 'learner busy (%)']
    notes = [
        f'Median (lowest-highest) of {counted(options.repeat, "stretch", "stretches")} of '
        f'{counted(options.steps or STEPS, "agent step")}, one of each mode in turn.',
        *how,
        *speedups(results),
        f'Best mode: {best[0]}.',
        'Percent of the time that the loop waited for each part; rest is the loop itself and the '
        'log.',
        f'Task {config.task}, {counted(config.envs, "environment")}, an update every '
        f'{counted(config.train_every, "agent step")} of {counted(config.action_repeat, "frame")}.',
    ]
    return options.report([Table('Training from end to end', columns, rows, notes)])
