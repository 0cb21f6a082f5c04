"""Batches a second out of a full replay while episodes are added, and its memory a step."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from dreamerv2.config import Config
from dreamerv2.replay import Replay
from dreamerv2.replay.measure import batches_per_second, bytes_per_step, fill

from . import ceiling, machine
from .episodes import Arrays, real_episodes
from .options import Options
from .report import Report, Table, counted
from .timing import spread, time_interleaved

SECONDS = 1.0  # Of each repetition.


def filled(config: Config, episodes: Sequence[Arrays], steps: int) -> Replay:
    """A replay without folder that holds `steps` steps of the episodes and copies of them."""
    replay = Replay(
        None,
        capacity=steps,
        past_end=config.replay.past_end,
        prioritize_ends=config.replay.prioritize_ends,
        minlen=config.replay.minlen,
        maxlen=config.replay.maxlen,
    )
    # A replay of this capacity gives its oldest episode away rather than pass it.
    longest = max(len(episode['is_first']) for episode in episodes)
    fill(replay, episodes, max(1, steps - longest))
    return replay


def endless_rows(episodes: Sequence[Arrays]) -> Iterator[dict[str, np.ndarray]]:
    """The episodes' rows one after another, again and again."""
    for episode in itertools.cycle(episodes):
        for index in range(len(episode['is_first'])):
            yield {key: value[index] for key, value in episode.items()}


def calls(
    config: Config, replay: Replay, episodes: Sequence[Arrays]
) -> dict[str, Callable[[], Any]]:
    """What is timed: a batch alone, and with the steps added that training makes for each."""
    batch, length = config.dataset.batch, config.dataset.length
    rows = endless_rows(episodes)

    def add() -> None:
        for _ in range(config.train_every):
            replay.add_step(next(rows))

    def both() -> None:
        add()
        replay.sample(batch, length)

    return {'sample': lambda: replay.sample(batch, length), 'add': add, 'both': both}


def batch_bytes(replay: Replay, batch: int, length: int) -> int:
    """Size of a batch in bytes."""
    return sum(value.nbytes for value in replay.sample(batch, length).values())


def run(options: Options) -> Report:
    """Fills a replay and measures it."""
    config = options.config
    steps = options.steps or config.replay.capacity
    batch, length = config.dataset.batch, config.dataset.length
    episodes = real_episodes(config, options.episodes, options.say)
    options.say(f'Filling a replay with {counted(steps, "step")}.')
    before = machine.peak_host_bytes()
    replay = filled(config, episodes, steps)
    grown = machine.peak_host_bytes() - before
    timed = {**calls(config, replay, episodes), 'copy': ceiling.copy(), 'core': ceiling.core()}
    samples = time_interleaved(timed, options.repeat, seconds=SECONDS)
    size = batch_bytes(replay, batch, length)
    limit = ceiling.COPY_BYTES / statistics.median(samples['copy'])
    cpu = spread(batches_per_second(replay, batch, length, SECONDS) for _ in range(options.repeat))

    def row(name: str, rates: Any) -> list[Any]:
        return [name, rates, 100 * size * rates.median / limit]

    def rates(name: str) -> Any:
        return spread(1 / value for value in samples[name])

    speed = [
        row('sampling alone', rates('sample')),
        row(f'with {counted(config.train_every, "step")} added for each batch', rates('both')),
        row('sampling alone, a second of processor time', cpu),
    ]
    held = int(replay.stats['loaded_steps'])
    per_step = bytes_per_step(replay)
    memory: list[list[Any]] = [
        ['steps held', held],
        ['real episodes they were copied from', len(episodes)],
        ['bytes a step', per_step],
        ['GB for a million steps', per_step / 1e3],
        ['bytes a step by the growth of the process', grown / held],
    ]
    notes = [
        options.spread_note,
        f'Share: of the rate of a copy in memory ({limit / 1e9:.3g} GB/s), for {size / 1e6:.3g} MB '
        'a batch.',
    ]
    title = f'Replay, batch {batch}x{length}'
    tables = [
        Table(title, ['what', 'batches/s', 'share of limit (%)'], speed, notes),
        Table('Memory of the replay', ['what', 'value'], memory),
    ]
    return options.report(tables)
