"""Frames a second of the environments: in this process, and in workers, up to two for each core.

The limit of Mario is the bare emulator, once for each core.
"""

from __future__ import annotations

import statistics
import time
from typing import Any

from dreamerv2.config import Config
from dreamerv2.cores import usable_cores
from dreamerv2.envs.factory import make_workers
from dreamerv2.envs.workers import Workers
from dreamerv2.run import build, random_streams
from dreamerv2.run.driver import Driver, RandomPolicy

from . import emulator
from .options import Options
from .report import Report, Table, counted
from .timing import spread

STEPS = 500  # Agent steps of each environment in a repetition.
EMULATOR_FRAMES = 2000


class Player:
    """Plays environments of the configuration's task with random actions, as training does."""

    def __init__(self, config: Config, count: int, parallel: str) -> None:
        settings = build.env_options(config, config.task)
        self.envs: Workers = make_workers(config.task, count, parallel=parallel, seed=0, **settings)
        turns = build.turns(config.update({'envs': count, 'envs_parallel': parallel}))
        self._driver = Driver(self.envs, turns=turns)
        self._policy = RandomPolicy(
            self.envs.act_space, random_streams.generator(0, 'random_policy')
        )

    def rate(self, steps: int) -> float:
        """Frames a second over `steps` agent steps of all environments, after some more."""
        self._play(5)
        start = time.perf_counter()
        self._play(steps)
        frames = len(self.envs) * self.envs.action_repeat * steps
        return frames / (time.perf_counter() - start)

    def _play(self, steps: int) -> None:
        for _ in range(steps * len(self._driver.groups)):
            self._driver.step(self._policy)


def run(options: Options) -> Report:
    """Measures all numbers of workers, and the bare emulator, in turn."""
    config = options.config
    steps = options.steps or STEPS
    cores = usable_cores()
    counts = sorted({1, *(2**n for n in range(cores.bit_length())), cores, 2 * cores})
    kinds = {'in this process': (1, 'none')}
    kinds |= {f'{count} in processes': (count, 'process') for count in counts}
    rates: dict[str, list[float]] = {name: [] for name in kinds}
    bare: list[float] = []
    game = emulator.BareGame() if config.task.startswith('mario_') else None
    players = {name: Player(config, *kind) for name, kind in kinds.items()}
    try:
        for _ in range(options.repeat):
            if game:
                bare.append(game.rate(EMULATOR_FRAMES))
            for name, player in players.items():
                rates[name].append(player.rate(steps))
    finally:
        for player in players.values():
            player.envs.close()
        if game:
            game.close()
    one = statistics.median(rates['1 in processes'])
    rows: list[list[Any]] = [['bare emulator', spread(bare), None, 100.0]] if bare else []
    for name, (count, _) in kinds.items():
        rate = spread(rates[name])
        limit = statistics.median(bare) * min(count, cores) if bare else None
        share = 100 * rate.median / limit if limit else None
        rows.append([name, rate, rate.median / one, share])
    columns = ['environments', 'frames/s', 'times one worker', 'share of limit (%)']
    notes = [
        options.spread_note,
        f'Task {config.task}, a random action every {counted(config.action_repeat, "frame")}, '
        'image included.',
        'Limit: the bare emulator, once for each core that can be used.',
        'Even numbers of workers take turns, as in training: half are at their steps while the '
        'rows of the others are looked at.',
    ]
    tables = [Table('Environments', columns, rows, notes)]
    if options.plain:
        tables.append(plain_table(options))
    return options.report(tables)


def plain_table(options: Options, frames: int = 3 * EMULATOR_FRAMES) -> Table:
    """The emulator as `scripts/setup.sh` compiles it against pip's own build, in turn."""
    with emulator.plain_build(options.say) as packages:
        plain, ours = [], []
        for _ in range(options.repeat):
            plain.append(emulator.in_process(frames, packages))
            ours.append(emulator.in_process(frames))
    same = len({result['hash'] for result in plain + ours}) == 1
    base = statistics.median(result['rate'] for result in plain)
    rows: list[list[Any]] = []
    for name, results in (('plain, as pip builds it', plain), ('scripts/setup.sh', ours)):
        rate = spread(result['rate'] for result in results)
        rows.append([name, rate, rate.median / base, 'identical' if same else 'DIFFERENT'])
    columns = ['build of nes-py', 'frames/s', 'times the plain one', 'trace']
    return Table('Bare emulator', columns, rows, [options.spread_note])
