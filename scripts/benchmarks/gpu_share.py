"""How many training runs share a GPU best: total updates a second of 1, 2, 4, ... runs at once.

The result is kept as JSON (`--out`, by default `experiments/results/gpu_share.json`), for whoever
starts many runs: `runs_per_gpu` runs at once, each with `gpus_per_run` of a card. With `--device
cpu` the same is done on the processor, to try it out.
"""

from __future__ import annotations

import concurrent.futures
import json
import multiprocessing
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

from dreamerv2.config import load_config
from dreamerv2.cores import usable_cores

from .children import quietly
from .instrumented import run_instrumented, stop_run
from .options import RESULTS, Options
from .report import Report, Table
from .timing import Clock

MOST_RUNS = 32
ENOUGH = 0.95  # Of the best total: fewer runs that reach this are preferred.
PREFILL = 300
WARMUP = 64  # Agent steps.
SECONDS = 30.0
PATIENCE = 900.0  # Seconds to wait for the other runs.


def counted_run(flags: Sequence[str], barrier: Any, seconds: float) -> tuple[int, float]:
    """Trains, and counts updates for `seconds` once all runs are warm.

    Returns:
        Updates, and the seconds they took.
    """
    config = load_config(list(flags))
    clock = Clock()
    window: list[tuple[float, int]] = []

    def on_act(acted: int) -> None:
        now, updates = time.perf_counter(), clock.calls.get('update', 0)
        if not window and acted >= WARMUP:
            try:
                barrier.wait(PATIENCE)
            except threading.BrokenBarrierError:
                raise RuntimeError('another run failed') from None
            window.append((time.perf_counter(), updates))
        elif len(window) == 1 and now - window[0][0] >= seconds:
            window.append((now, updates))
            stop_run()

    try:
        run_instrumented(config, clock, on_act)
    except BaseException:
        barrier.abort()
        raise
    (begun, before), (ended, after) = window
    return after - before, ended - begun


def updates_per_second(flags: Sequence[str], runs: int, seconds: float) -> float:
    """Total of `runs` runs at once.

    Raises:
        Exception: what one of them raised, such as for lack of memory.
    """
    context = multiprocessing.get_context('spawn')
    with (
        context.Manager() as manager,
        concurrent.futures.ProcessPoolExecutor(runs, mp_context=context) as pool,
    ):
        barrier = manager.Barrier(runs)
        jobs = [pool.submit(quietly, counted_run, flags, barrier, seconds) for _ in range(runs)]
        counts = [job.result() for job in jobs]
    return sum(updates / spent for updates, spent in counts)


def best_runs(totals: Mapping[int, float]) -> int:
    """The fewest runs at once whose total comes near the best one.

    Args:
        totals: updates a second by number of runs.
    """
    best = max(totals.values())
    return min(runs for runs, total in totals.items() if total >= ENOUGH * best)


def measure(flags: Sequence[str], seconds: float, most: int, say: Any) -> dict[int, float]:
    """Totals of 1, 2, 4, ... runs at once, until one more doubling gains nothing or fails."""
    totals: dict[int, float] = {}
    runs = 1
    while runs <= most:
        say(f'{runs} at once.')
        try:
            totals[runs] = updates_per_second(flags, runs, seconds)
        except Exception as error:
            if not totals:
                raise
            say(f'{runs} at once failed, and so no more are tried: {error}')
            break
        if runs > 1 and totals[runs] < totals[runs // 2]:
            break
        runs *= 2
    return totals


def run(options: Options) -> Report:
    """Measures, and writes down how many runs to start at once."""
    config, gpu = options.config, options.machine.get('gpu')
    on_cpu = config.device == 'cpu'
    title = 'Runs that share a GPU'
    columns = ['runs at once', 'updates/s in all', 'updates/s each', 'frames/s in all']
    if not gpu and not on_cpu:
        rows: list[list[Any]] = [['not measured: no GPU', None, None, None]]
        return options.report([Table(title, columns, rows)])
    flags = options.flags
    if '--prefill' not in options.overrides:
        flags = [*flags, '--prefill', str(min(config.prefill, PREFILL))]
    most = usable_cores() if on_cpu else MOST_RUNS
    seconds = SECONDS * options.repeat / 5
    totals = measure(flags, seconds, most, options.say)
    frames = config.train_every / config.train_steps * config.action_repeat
    rows = [[n, total, total / n, total * frames] for n, total in totals.items()]
    best = best_runs(totals)
    result = {
        'gpu': None if on_cpu else gpu,
        'presets': list(options.presets),
        'overrides': list(options.overrides),
        'updates_per_second': {str(n): total for n, total in totals.items()},
        'runs_per_gpu': best,
        'gpus_per_run': 1 / best,
    }
    out = options.out or (None if on_cpu else RESULTS / 'gpu_share.json')
    notes = [
        f'Best: {best} at once (the fewest that reach {100 * ENOUGH:.0f} % of the highest total), '
        f'{number_of_gpus(best)} of a GPU for each.',
        f'Whole training runs, counted together for {seconds:.0f} seconds.',
    ]
    if on_cpu:
        notes.append('On the CPU, by --device cpu.')
    if out:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(result, indent=2) + '\n', encoding='utf-8')
        notes.append(f'Written to {out.name}.')
    return options.report([Table(title, columns, rows, notes)], **result)


def number_of_gpus(runs: int) -> str:
    """What each of `runs` runs gets of a card, such as `1/4`."""
    return '1' if runs == 1 else f'1/{runs}'
