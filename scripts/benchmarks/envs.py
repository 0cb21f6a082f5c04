"""Frames a second of the environments: in this process, and in workers, up to two for each core.

The limit of Mario is the bare emulator, once for each core.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dreamerv2.config import Config
from dreamerv2.cores import usable_cores
from dreamerv2.envs.factory import make_workers
from dreamerv2.envs.workers import Workers
from dreamerv2.run import build, random_streams
from dreamerv2.run.driver import Driver
from dreamerv2.run.random_policy import RandomPolicy

from . import emulator
from .options import Options
from .report import Report, Table, counted
from .timing import spread

STEPS = 500  # Agent steps of each environment in a repetition.
EMULATOR_FRAMES = 2000


def make(config: Config, count: int, parallel: str) -> Workers:
    """Environments of the configuration's task."""
    options = build.env_options(config, config.task)
    return make_workers(config.task, count, parallel=parallel, seed=0, **options)


class Player:
    """Plays all environments with random actions, as training does.

    Args:
        envs: the environments.
        turns: as for `Driver`.
    """

    def __init__(self, envs: Workers, turns: int) -> None:
        self.driver = Driver(envs, turns=turns)
        self._policy = RandomPolicy(envs.act_space, random_streams.generator(0, 'random_policy'))

    def step_seconds(self, steps: int) -> list[float]:
        """Seconds of each of `steps` agent steps of all environments, after some more."""
        for _ in range(5):
            self._step()
        times = [time.perf_counter()]
        for _ in range(steps):
            self._step()
            times.append(time.perf_counter())
        return np.diff(times).tolist()

    def _step(self) -> None:
        for _ in self.driver.groups:
            self.driver.step(self._policy)


def most_in_step(seconds: Sequence[float], count: int) -> float:
    """How many times one environment as many as `count` can do that wait for each other.

    Less than `count`, because each step lasts as long as the longest of them.

    Args:
        seconds: how long single steps took.
        count: how many environments, each on a core of its own.
    """
    together = np.reshape(seconds[: len(seconds) // count * count], [count, -1])
    return float(count * together.mean() / together.max(0).mean())


def run(options: Options) -> Report:
    """Measures all numbers of workers, and the bare emulator, in turn."""
    config = options.config
    steps = options.steps or STEPS
    cores = usable_cores()
    counts = sorted({1, *(2**n for n in range(cores.bit_length())), cores, 2 * cores})
    kinds = [('in this process', 1, 'none', 1)]
    for count in counts:
        turns = build.turns(config.update({'envs': count, 'envs_parallel': 'process'}))
        kinds.append((f'{count} in processes', count, 'process', turns))
        if turns > 1 and count == cores:
            kinds.append((f'{count} in processes, all together', count, 'process', 1))
    is_mario = config.task.startswith('mario_')
    rates: dict[str, list[float]] = {name: [] for name, *_ in kinds}
    alone: list[float] = []  # Seconds of single steps.
    bare, together = [], []
    game = emulator.BareGame() if is_mario else None
    workers = {name: make(config, count, parallel) for name, count, parallel, _ in kinds}
    players = {name: Player(workers[name], turns) for name, _, _, turns in kinds}
    try:
        for _ in range(options.repeat):
            if game:
                bare.append(game.rate(EMULATOR_FRAMES))
                together.append(emulator.at_once(cores, 2 * EMULATOR_FRAMES))
            for name, envs in workers.items():
                seconds = players[name].step_seconds(steps)
                rates[name].append(len(envs) * envs.action_repeat * steps / sum(seconds))
                if name == 'in this process':
                    alone += seconds
    finally:
        for envs in workers.values():
            envs.close()
        if game:
            game.close()
    one = statistics.median(rates['1 in processes'])
    rows: list[list[Any]] = []
    if is_mario:
        rows.append(['bare emulator', spread(bare), None, 100.0])
        rate = spread(together)
        share = 100 * rate.median / (statistics.median(bare) * cores)
        rows.append([f'bare emulator, {cores} at once', rate, None, share])
    for name, count, *_ in kinds:
        rate = spread(rates[name])
        share = None
        if is_mario:
            share = 100 * rate.median / (statistics.median(bare) * min(count, cores))
        rows.append([name, rate, rate.median / one, share])
    columns = ['environments', 'frames/s', 'times one worker', 'share of limit (%)']
    notes = [
        options.spread_note,
        f'Task {config.task}, a random action every {counted(config.action_repeat, "frame")}, '
        'image included.',
        'Limit: the bare emulator, once for each core that can be used. What several of them reach '
        'at once says how far the cores are independent of each other.',
        'Even numbers of them take turns, as in training: half are at their steps while the rows '
        'of the others are looked at.',
    ]
    if cores > 1:
        notes.append(
            f'Steps take unequally long: {cores} environments that step all together reach at most '
            f'{most_in_step(alone, cores):.2f} times one, on {cores} cores.'
        )
    tables = [Table('Environments', columns, rows, notes)]
    if options.plain:
        tables.append(plain_table(options))
    return options.report(tables)


def plain_table(options: Options, frames: int = 3 * EMULATOR_FRAMES) -> Table:
    """The emulator as `scripts/setup.sh` compiles it against pip's own build, in turn."""
    columns = ['build of nes-py', 'frames/s', 'times the plain one', 'trace']
    title = 'Bare emulator'
    with tempfile.TemporaryDirectory() as folder:
        options.say('Building the plain emulator.')
        problem = emulator.build_plain(Path(folder))
        if problem:
            return Table(title, columns, [['plain', f'not measured: {problem}', None, None]])
        plain, ours = [], []
        for _ in range(options.repeat):
            plain.append(emulator.in_process(frames, Path(folder)))
            ours.append(emulator.in_process(frames))
    if not all(Path(result['file']).is_relative_to(folder) for result in plain):
        return Table(title, columns, [['plain', 'not measured: not the one used', None, None]])
    same = len({result['hash'] for result in plain + ours}) == 1
    base = statistics.median(result['rate'] for result in plain)
    rows: list[list[Any]] = []
    for name, results in (('plain, as pip builds it', plain), ('scripts/setup.sh', ours)):
        rate = spread(result['rate'] for result in results)
        rows.append([name, rate, rate.median / base, 'identical' if same else 'DIFFERENT'])
    return Table(title, columns, rows, [options.spread_note])
