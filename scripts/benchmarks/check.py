"""A quick look for regressions: shares of the machine's limits against the stored ones.

Absolute times say little where machines differ and other programs run; a ratio to a limit that is
measured between the same calls says more. Of each, the best of several rounds counts: whatever else
runs only ever makes them slower. The table (`experiments/results/speed.json`) has an entry for each
kind of machine, stored with `--update`; on another kind nothing is measured, as there is nothing to
compare with. It warns and never fails.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from dreamerv2.envs.workers import InProcess
from dreamerv2.errors import UsageError
from dreamerv2.run import build, random_streams
from dreamerv2.run.driver import Driver, RandomPolicy

from . import limits, replay, subject
from .emulator import BareGame
from .learner import update_call
from .options import Options
from .report import Report, Table, counted
from .timing import time_interleaved

TOLERANCE = 0.15
REPLAY_STEPS = 20_000
EPISODE_STEPS = 600  # Agent steps of real play that the replay is filled from.
FRAMES = 200
MEASURING = 14.0  # Seconds, beside setting up.


def machine_key(machine: Mapping[str, Any]) -> str:
    """The kind of machine, under which shares are stored."""
    cores = counted(machine['cores'], 'core')
    return f'{machine["processor"]}, {cores}, {machine["gpu"] or "no GPU"}'


def warnings(found: Mapping[str, float], stored: Mapping[str, float]) -> list[str]:
    """A line for each share that is lower than the stored one by more than `TOLERANCE`."""
    lines = []
    for name, before in stored.items():
        if name not in found:
            lines.append(f'warning: {name}: not measured, but stored as {before:.3g}')
        elif found[name] < (1 - TOLERANCE) * before:
            drop = 100 * (1 - found[name] / before)
            lines.append(f'warning: {name}: {found[name]:.3g} of its limit, {drop:.0f} % worse '
                         f'than the stored {before:.3g}')  # fmt: skip
    return lines


def read_table(path: Path) -> dict[str, Any]:
    """The stored table; empty where there is none.

    Raises:
        UsageError: the file is no such table.
    """
    if not path.exists():
        return {'machines': {}}
    try:
        table = json.loads(path.read_text(encoding='utf-8'))
        if isinstance(table['machines'], dict):
            return table
    except (OSError, ValueError, KeyError, TypeError):
        pass
    raise UsageError(f'--stored {path} is no table of shares: delete it, or name another file.')


def env_calls(config: Any) -> tuple[dict[str, Callable[[], Any]], Callable[[], None]]:
    """`FRAMES` of the environment, as many of the bare emulator, and what closes both.

    Each call plays from the start of the level with the same buttons, because frames differ in how
    much there is to draw.
    """
    envs = InProcess([lambda: build.build_env(config, config.task, 0)])
    driver, game = Driver(envs), BareGame()

    def step() -> None:
        driver.reset()
        policy = RandomPolicy(envs.act_space, random_streams.generator(0, 'random_policy'))
        for _ in range(FRAMES // config.action_repeat):
            driver.step(policy)

    def bare() -> None:
        game.restart()
        game.play(FRAMES)

    def close() -> None:
        envs.close()
        game.close()

    return {'step': step, 'bare': bare}, close


def measure_shares(options: Options) -> dict[str, float]:
    """Shares of their limits by name."""
    config = options.config
    episodes = replay.play(config, config.task, steps=EPISODE_STEPS)
    store = replay.filled(config, episodes, REPLAY_STEPS)
    device = subject.configure(config, options.say)
    spaces = subject.find_spaces(config)
    agent = subject.make_agent(config, spaces, device, device.precision)
    batch, length = config.dataset.batch, config.dataset.length
    calls, close = env_calls(config)
    calls |= {
        'update': update_call(agent, subject.random_batch(spaces, batch, length)),
        'product': limits.matrix_product(device.precision, device.branches),
        'sample': replay.calls(config, store, episodes)['both'],
        'copy': limits.copy(),
        'core': limits.core(),
    }
    try:
        samples = time_interleaved(calls, options.repeat, limit=MEASURING)
    finally:
        close()
    best = {name: min(seconds) for name, seconds in samples.items()}
    size = replay.batch_bytes(store, batch, length)
    return {
        f'learner, {device.precision}, updates a matrix product': best['product'] / best['update'],
        'replay, of a copy in memory': (size / best['sample']) / (limits.COPY_BYTES / best['copy']),
        'environment, of the bare emulator': best['bare'] / best['step'],
        'bare emulator, frames for each MB of zlib': (FRAMES / best['bare'])
        / (limits.CORE_BYTES / 1e6 / best['core']),
    }


def run(options: Options) -> Report:
    """Measures, compares, and stores if asked to."""
    start = time.monotonic()
    table = read_table(options.stored)
    key = machine_key(options.machine)
    stored = table['machines'].get(key, {}).get('shares', {})
    if not (stored or options.update):
        note = f'Nothing is stored for this machine ({key}): --update measures and stores it.'
        return options.report([Table('Shares of the limits', ['what'], [], [note])])
    try:
        found = measure_shares(options)
    except UsageError:
        raise
    except Exception as error:  # A warning, like everything that this finds.
        note = f'warning: speed could not be measured: {type(error).__name__}: {error}'
        return options.report(
            [Table('Shares of the limits', ['what'], [], [note])], warnings=[note]
        )
    lines = warnings(found, stored)
    rows: list[list[Any]] = [
        [
            name,
            share,
            stored.get(name),
            100 * (share / stored[name] - 1) if name in stored else None,
        ]
        for name, share in found.items()
    ]
    notes = list(lines)
    if stored and not lines:
        notes.append(f'None is more than {100 * TOLERANCE:.0f} % worse than stored.')
    if options.update:
        table['machines'][key] = {
            'revision': options.machine['revision'],
            'load': options.machine['load'],
            'shares': found,
        }
        options.stored.write_text(json.dumps(table, indent=2) + '\n', encoding='utf-8')
        notes.append(f'Stored in {options.stored.name}.')
    notes.append(f'{time.monotonic() - start:.0f} seconds.')
    columns = ['what', 'share', 'stored', 'change (%)']
    return options.report([Table('Shares of the limits', columns, rows, notes)], warnings=lines)
