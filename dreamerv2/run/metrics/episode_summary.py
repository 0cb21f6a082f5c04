"""Summaries of finished episodes, as they are logged."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from dreamerv2.run.types import Row


@dataclasses.dataclass(frozen=True)
class EpisodeSummary:
    """Summary of a finished episode.

    Attributes:
        level: its level's name.
        score: sum of its rewards.
        length: agent steps (transitions: the reset's row does not count).
        progress: furthest x over the level's length, or None where it has none.
        completed: 1.0 if the level was completed, else 0.0; None as above.
        furthest_x: furthest position, None as above.
        worker: index of the environment it was played in.
        entries: one value per row, by name: the reward and every `log_*` scalar.
        videos: per kept key the frames, uint8 `[length + 1, H, W, C]`.
    """

    level: str
    score: float
    length: int
    progress: float | None
    completed: float | None
    furthest_x: float | None
    worker: int = 0
    entries: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)
    videos: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)


def summarize(
    rows: Sequence[Row], levels: Sequence[str], *, worker: int = 0, video_keys: Iterable[str] = ()
) -> EpisodeSummary:
    """The summary of an episode's rows, the reset's row first."""
    first = rows[0]
    entries = {
        key: np.asarray([row[key] for row in rows], np.float64)
        for key, value in first.items()
        if (key == 'reward' or key.startswith('log_')) and np.ndim(value) == 0
    }
    level = int(first.get('level', 0))

    def furthest(key: str) -> float | None:
        return float(np.max(entries[key])) if key in entries else None

    return EpisodeSummary(
        level=levels[level] if level < len(levels) else str(level),
        score=float(entries['reward'].sum()),
        length=len(rows) - 1,
        progress=furthest('log_progress'),
        completed=furthest('log_completed'),
        furthest_x=furthest('log_x'),
        worker=worker,
        entries=entries,
        videos={
            key: np.stack([row[key] for row in rows])
            for key in video_keys
            if key in first and np.ndim(first[key]) == 3
        },
    )


def episode_metrics(
    episode: EpisodeSummary,
    prefix: str = 'train',
    *,
    sum_keys: str = '^$',
    mean_keys: str = '^$',
    max_keys: str = '^$',
) -> dict[str, float]:
    """The scalars of one episode, by the names of `metrics.jsonl`.

    The last three are regular expressions; the sum, mean or maximum of each matching entry of
    `episode.entries` is included.
    """
    values: dict[str, float] = {
        f'{prefix}_return': episode.score,
        f'{prefix}_length': float(episode.length),
        f'{prefix}_return/{episode.level}': episode.score,
        f'{prefix}_length/{episode.level}': float(episode.length),
    }
    if episode.progress is not None:
        values[f'{prefix}_progress/{episode.level}'] = episode.progress
    if episode.completed is not None:
        values[f'{prefix}_completed/{episode.level}'] = episode.completed
    reductions: list[tuple[str, str, Any]] = [
        ('sum', sum_keys, np.sum),
        ('mean', mean_keys, np.mean),
        ('max', max_keys, np.max),
    ]
    for name, pattern, reduce in reductions:
        for key, entry in episode.entries.items():
            if re.match(pattern, key):
                values[f'{name}_{prefix}_{key}'] = float(reduce(entry))
    return values
