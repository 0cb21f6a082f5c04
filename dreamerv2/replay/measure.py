"""A full replay and how much memory it takes, for benchmarks and tests."""

import itertools
import pickle
from collections.abc import Iterable, Mapping

import numpy as np

from dreamerv2.replay.replay import Replay


def fill(replay: Replay, episodes: Iterable[Mapping[str, np.ndarray]], steps: int) -> None:
    """Fill an in-memory replay to `steps` steps, with copies once the episodes run out.

    Episodes are arrays `[rows, ...]`, which are added row by row as a driver does.
    Copies take memory of their own, so that memory use and cache behaviour are those of a full
    replay.
    """
    for arrays in episodes:
        for row in range(len(arrays['is_first'])):
            replay.add_step({key: value[row] for key, value in arrays.items()})
    originals = [pickle.dumps(episode) for episode in replay.episodes()]
    for original in itertools.cycle(originals):
        if replay.stats['loaded_steps'] >= steps:
            break
        replay.append(pickle.loads(original))


def bytes_per_step(replay: Replay) -> float:
    """Memory of the episodes per step."""
    stats = replay.stats
    return stats['bytes'] / max(1, stats['loaded_steps'])
