"""Real episodes of random play, kept in a temporary folder from one benchmark to the next."""

from __future__ import annotations

import concurrent.futures
import hashlib
import json
import multiprocessing
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from dreamerv2.config import Config
from dreamerv2.cores import usable_cores
from dreamerv2.envs.level_lengths import LEVELS
from dreamerv2.envs.workers import InProcess
from dreamerv2.run import build, random_streams
from dreamerv2.run.driver import Driver
from dreamerv2.run.random_policy import RandomPolicy
from dreamerv2.run.types import Row

from .report import counted

Arrays = dict[str, np.ndarray]


def collect(
    config: Config, task: str, *, count: int = 0, steps: int = 0, index: int = 0
) -> list[Arrays]:
    """Episodes of random play, rows of each key stacked to `[rows, ...]`.

    Args:
        config: options of the environment.
        task: what is played.
        count: ends with so many episodes; 0 for no such end.
        steps: ends with so many agent steps in finished episodes; 0 for no such end.
        index: which of several collectors this is; each draws its own actions.
    """
    envs = InProcess(
        [lambda: build.build_env(config, task, random_streams.derive(0, 'envs', index))]
    )
    rows: list[Row] = []
    driver = Driver(envs, on_step=[lambda row, _: rows.append(row)])
    policy = RandomPolicy(envs.act_space, random_streams.generator(0, 'random_policy', index))
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


def all_levels(config: Config) -> list[str]:
    """A task for each level of the configuration's game, or the task itself elsewhere."""
    if not config.task.startswith('mario_'):
        return [config.task]
    return [f'mario_{level}' for level in LEVELS]


def cache_folder(config: Config, tasks: list[str]) -> Path:
    """Where episodes of these options are kept."""
    options = build.env_options(config, tasks[0])
    key = hashlib.sha256(json.dumps([tasks, options], default=str).encode()).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f'dreamerv2-episodes-{os.getuid()}-{key}'


def real_episodes(
    config: Config,
    count: int,
    say: Callable[[str], Any],
    *,
    tasks: list[str] | None = None,
    folder: Path | None = None,
) -> list[Arrays]:
    """At least `count` episodes, as many of each level; collected where there are not enough.

    Args:
        config: options of the environment.
        count: how many at least.
        say: told that something is collected, which takes a while.
        tasks: what is played; all levels by default.
        folder: where they are kept.
    """
    tasks = tasks or all_levels(config)
    folder = folder or cache_folder(config, tasks)
    folder.mkdir(parents=True, exist_ok=True)
    each = -(-count // len(tasks))
    owed = [
        (number, task) for number, task in enumerate(tasks)
        if len(list(folder.glob(f'{number:02d}-*.npz'))) < each
    ]  # fmt: skip
    if owed:
        say(
            f'Playing at random on {counted(len(owed), "level")}, {counted(each, "episode")} each, '
            f'kept in {folder}.'
        )
        context = multiprocessing.get_context('spawn')
        workers = min(len(owed), usable_cores())
        with concurrent.futures.ProcessPoolExecutor(workers, mp_context=context) as pool:
            jobs = [
                pool.submit(_store, config, task, each, number, folder) for number, task in owed
            ]
            for job in jobs:
                job.result()
    paths = [
        path for n in range(len(tasks)) for path in sorted(folder.glob(f'{n:02d}-*.npz'))[:each]
    ]
    return [load(path) for path in paths]


def load(path: Path) -> Arrays:
    """An episode's arrays."""
    with np.load(path) as file:
        return {key: file[key] for key in file.files}


def _store(config: Config, task: str, count: int, number: int, folder: Path) -> None:
    for index, episode in enumerate(collect(config, task, count=count, index=number)):
        # Written whole or not at all: the next benchmark trusts what it finds.
        partial = folder / f'.{number:02d}-{index:04d}.{os.getpid()}.npz'
        np.savez_compressed(partial, **episode)
        partial.replace(folder / f'{number:02d}-{index:04d}.npz')
