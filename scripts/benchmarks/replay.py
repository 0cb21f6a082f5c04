"""Batches a second out of a full replay while episodes are added, and its memory a step."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from dreamerv2.config import Config
from dreamerv2.envs.level_lengths import LEVELS
from dreamerv2.envs.workers import InProcess
from dreamerv2.replay import Replay
from dreamerv2.replay.measure import bytes_per_step, fill
from dreamerv2.run import build, random_streams
from dreamerv2.run.driver import Driver, RandomPolicy
from dreamerv2.run.types import Row

from . import limits
from .options import Options
from .report import Report, Table, counted
from .timing import spread, time_interleaved

SECONDS = 1.0  # Of each repetition.

Arrays = dict[str, np.ndarray]


def play(config: Config, task: str, *, count: int = 0, steps: int = 0) -> list[Arrays]:
    """Episodes of random play, rows of each key stacked to `[rows, ...]`.

    Args:
        config: options of the environment.
        task: what is played.
        count: ends with so many episodes; 0 for no such end.
        steps: ends with so many agent steps in finished episodes; 0 for no such end.
    """
    envs = InProcess([lambda: build.build_env(config, task, 0)])
    rows: list[Row] = []
    driver = Driver(envs, on_step=[lambda row, _: rows.append(row)])
    policy = RandomPolicy(envs.act_space, random_streams.generator(0, 'random_policy'))
    episodes: list[Arrays] = []
    made = 0
    try:
        while not (0 < count <= len(episodes) or 0 < steps <= made):
            if driver.step(policy).episodes:
                episodes.append({key: np.stack([row[key] for row in rows]) for key in rows[0]})
                made += len(rows) - 1
                rows.clear()
    finally:
        envs.close()
    return episodes


def real_episodes(config: Config, count: int) -> list[Arrays]:
    """At least `count` episodes: of the task, or in Mario as many of each level."""
    tasks = [config.task]
    if config.task.startswith('mario_'):
        tasks = [f'mario_{level}' for level in LEVELS]
    each = -(-count // len(tasks))
    return [episode for task in tasks for episode in play(config, task, count=each)]


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

    def both() -> None:
        for _ in range(config.train_every):
            replay.add_step(next(rows))
        replay.sample(batch, length)

    return {'sample': lambda: replay.sample(batch, length), 'both': both}


def batch_bytes(replay: Replay, batch: int, length: int) -> int:
    """Size of a batch in bytes."""
    return sum(value.nbytes for value in replay.sample(batch, length).values())


def run(options: Options) -> Report:
    """Fills a replay and measures it."""
    config = options.config
    steps = options.steps or config.replay.capacity
    batch, length = config.dataset.batch, config.dataset.length
    options.say(f'Playing {counted(options.episodes, "episode")} at random.')
    episodes = real_episodes(config, options.episodes)
    options.say(f'Filling a replay with {counted(steps, "step")}.')
    replay = filled(config, episodes, steps)
    timed = {**calls(config, replay, episodes), 'copy': limits.copy()}
    samples = time_interleaved(timed, options.repeat, seconds=SECONDS)
    size = batch_bytes(replay, batch, length)
    limit = limits.COPY_BYTES / statistics.median(samples['copy'])

    def row(title: str, name: str) -> list[Any]:
        rates = spread(1 / value for value in samples[name])
        return [title, rates, 100 * size * rates.median / limit]

    speed = [
        row('sampling alone', 'sample'),
        row(f'with {counted(config.train_every, "step")} added for each batch', 'both'),
    ]
    per_step = bytes_per_step(replay)
    memory: list[list[Any]] = [
        ['steps held', int(replay.stats['loaded_steps'])],
        ['real episodes they were copied from', len(episodes)],
        ['bytes a step', per_step],
        ['GB for a million steps', per_step / 1e3],
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
