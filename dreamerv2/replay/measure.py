"""How fast a replay samples and how much memory it takes, for benchmarks and tests."""

import pickle
import time
from collections.abc import Iterable, Mapping

import numpy as np

from dreamerv2.replay.replay import Replay


def add_episode(replay: Replay, arrays: Mapping[str, np.ndarray], worker: int = 0) -> None:
    """Add an episode given as arrays `[rows, ...]`, row by row as a driver does."""
    for row in range(len(arrays['is_first'])):
        replay.add_step({key: value[row] for key, value in arrays.items()}, worker)


def fill(replay: Replay, episodes: Iterable[Mapping[str, np.ndarray]], steps: int) -> None:
    """Fill an in-memory replay to `steps` steps, with copies once the episodes run out.

    Copies take memory of their own, so that memory use and cache behaviour are those of a full
    replay.
    """
    for arrays in episodes:
        add_episode(replay, arrays)
    originals = [pickle.dumps(episode) for episode in replay.episodes()]
    number = 0
    while replay.stats['loaded_steps'] < steps:
        replay.append(pickle.loads(originals[number % len(originals)]))
        number += 1


def bytes_per_step(replay: Replay) -> float:
    """Memory of the episodes per step."""
    stats = replay.stats
    return stats['bytes'] / max(1, stats['loaded_steps'])


def batches_per_second(
    replay: Replay, batch: int = 16, length: int = 50, seconds: float = 2.0
) -> float:
    """Batches sampled per second of processor time on one core, after a warm-up."""
    for _ in range(5):
        replay.sample(batch, length)
    count, start = 0, time.process_time()
    while (spent := time.process_time() - start) < seconds:
        replay.sample(batch, length)
        count += 1
    return count / spent
