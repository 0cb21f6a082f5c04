"""Frames a second of whole training runs, and what their loop waited for.

Runs of the preset at its train ratio, logging included, without evaluations and checkpoints, in
each mode: `synchronous`, where acting and learning take turns, and `async_collect`, where the
learner computes beside the environments. On a GPU, whose work the loop does not wait for, a third
run waits for each update, so that its time is not counted as the policy's.
"""

from __future__ import annotations

from typing import Any

from .children import in_child
from .instrumented import PARTS, Segments, measure_segments
from .options import Options
from .report import Report, Table
from .timing import spread

STEPS = 400  # Agent steps of a repetition.
PREFILL = 1000


def modes(options: Options) -> dict[str, tuple[list[str], bool, bool]]:
    """By the mode's name: flags, whether each update is waited for, whether computed directly."""
    found = {
        'synchronous': (['--async_collect', 'False'], False, False),
        'async_collect': (['--async_collect', 'True'], False, False),
    }
    if options.plain:
        in_float32 = ['--async_collect', 'False', '--precision', 'float32']
        found = {'plain, synchronous': (in_float32, False, True), **found}
    if options.machine.get('gpu') and options.config.device != 'cpu':
        found['synchronous, waiting'] = (['--async_collect', 'False'], True, False)
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


def run(options: Options) -> Report:
    """Trains in each mode."""
    config = options.config
    steps = options.steps or STEPS
    rows: list[list[Any]] = []
    for name, (flags, wait, plain) in modes(options).items():
        options.say(f'Training, {name}.')
        # A shorter prefill, unless one was asked for: what is learned does not matter here.
        if '--prefill' not in options.overrides:
            flags = [*flags, '--prefill', str(min(config.prefill, PREFILL))]
        warmup = max(5 * config.train_every, steps // 4)
        arguments = [*options.flags, *flags], options.repeat, steps, warmup, wait, plain
        rows.append(row(name, in_child(measure_segments, *arguments)))
    if not options.machine.get('gpu'):
        rows.append(['on a GPU', 'not measured: no GPU', *[None] * 9])
    best = max((row for row in rows if row[1] and row[3]), key=lambda row: row[2].median)
    columns = ['mode', 'precision', 'frames/s', 'updates/s']
    columns += [f'{part} (%)' for part in PARTS]
    columns += ['rest (%)', 'most waited for', 'learner busy (%)']
    notes = [
        f'Median (lowest-highest) of {options.repeat} stretches of {steps} agent steps.',
        f'Best mode: {best[0]}.',
        'Percent of the time that the loop waited for each part; rest is the loop itself and the '
        'log.',
        f'Task {config.task}, {config.envs} environments, an update every {config.train_every} '
        f'agent steps of {config.action_repeat} frames.',
    ]
    return options.report([Table('Training from end to end', columns, rows, notes)])
