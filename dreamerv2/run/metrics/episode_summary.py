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
    kept = [key for key in first if key == 'reward' or key.startswith('log_')]
    scalars = [key for key in kept if np.ndim(first[key]) == 0]
    entries = {key: np.asarray([row[key] for row in rows], np.float64) for key in scalars}
    pictures = [key for key in video_keys if key in first and np.ndim(first[key]) == 3]
    videos = {key: np.stack([row[key] for row in rows]) for key in pictures}
    level = int(first.get('level', 0))
    name = levels[level] if level < len(levels) else str(level)
    score, length = float(entries['reward'].sum()), len(rows) - 1
    progress, completed, x = (
        float(np.max(entries[key])) if key in entries else None
        for key in ('log_progress', 'log_completed', 'log_x')
    )
    return EpisodeSummary(name, score, length, progress, completed, x, worker, entries, videos)


def episode_metrics(episode: EpisodeSummary, patterns: Mapping[str, str]) -> dict[str, float]:
    """The scalars of one training episode, by the names of `metrics.jsonl`.

    `patterns` are regular expressions by `sum`, `mean` and `max`: that of each matching entry of
    `episode.entries` is included.
    """
    found = {'return': episode.score, 'length': float(episode.length)}
    values = {f'train_{name}': value for name, value in found.items()}
    of_level = {**found, 'progress': episode.progress, 'completed': episode.completed}
    for name, value in of_level.items():
        if value is not None:
            values[f'train_{name}/{episode.level}'] = value
    for name, pattern in patterns.items():
        for key, entry in episode.entries.items():
            if re.match(pattern, key):
                values[f'{name}_train_{key}'] = float(getattr(np, name)(entry))
    return values
