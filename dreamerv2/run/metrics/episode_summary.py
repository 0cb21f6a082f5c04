"""Summaries of finished episodes, as they are logged."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping, Sequence

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
    *,
    sum_keys: str = '^$',
    mean_keys: str = '^$',
    max_keys: str = '^$',
) -> dict[str, float]:
    """The scalars of one training episode, by the names of `metrics.jsonl`.

    The others are regular expressions; the sum, mean or maximum of each matching entry of
    `episode.entries` is included.
    """
    values: dict[str, float] = {
        'train_return': episode.score,
        'train_length': float(episode.length),
        f'train_return/{episode.level}': episode.score,
        f'train_length/{episode.level}': float(episode.length),
    }
    if episode.progress is not None:
        values[f'train_progress/{episode.level}'] = episode.progress
    if episode.completed is not None:
        values[f'train_completed/{episode.level}'] = episode.completed
    for name, pattern in ('sum', sum_keys), ('mean', mean_keys), ('max', max_keys):
        for key, entry in episode.entries.items():
            if re.match(pattern, key):
                values[f'{name}_train_{key}'] = float(getattr(np, name)(entry))
    return values
