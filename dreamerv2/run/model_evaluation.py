"""Runs an agent's world model over recorded episodes to measure it."""

from __future__ import annotations

import collections
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from dreamerv2.run.metrics import insight
from dreamerv2.run.metrics.insight import Arrays
from dreamerv2.run.types import Row

# Rows of a window, shared with the one before, and seen before imagining.
LENGTH, OVERLAP, CONTEXT = 64, 20, 5
BATCH = 8
IMAGE = 'image'
KEYS = IMAGE, 'log_player', 'log_enemies'
SERIES = 'reward', 'learned', 'counted', 'value', 'imagined'


def look_at(
    agent: Any, episodes: Sequence[Arrays], discount: float, *, behavior: bool = True
) -> dict[str, float]:
    """Measures of an agent on episodes, named as in `metrics.jsonl`.

    Args:
        agent: see `Agent.foresee`.
        episodes: arrays `[rows, ...]` with the boxes, of one environment.
        discount: per step.
        behavior: whether to measure actor and critic, which must be trained and have played these.
    """
    sprites = insight.SpriteErrors()
    rows = [len(episode['reward']) for episode in episodes]
    series = {name: [np.full(count, np.nan) for count in rows] for name in SERIES}
    deaths = [{steps: np.full(count, np.nan) for steps in insight.AHEAD} for count in rows]
    for number, (start, stop, counted), found in predictions(agent, episodes):
        episode = episodes[number]
        seen = slice(counted - start, stop - start)
        for name, values in series.items():
            values[number][counted:stop] = found[name][seen]
        if 'ends' in found:
            deaths[number][0][counted:stop] = found['ends'][seen]
            for steps in insight.AHEAD[1:]:
                first = max(counted, start + CONTEXT - 1 + steps) - steps
                ahead = found['ends_ahead'][steps - 1]
                last = max(stop - steps, first)
                deaths[number][steps][first:last] = ahead[first - start : last - start]
        for row in range(counted, stop):
            at = row - start
            image, player, enemies = (episode[key][row] for key in KEYS)
            made = {
                steps: found[f'{IMAGE}/{steps}'][at - steps]
                for steps in insight.STEPS_AHEAD
                if not steps or at - steps >= CONTEXT - 1
            }
            sprites.add(image / np.float32(255), player, enemies, made)
    groups = {
        'model_error': sprites.metrics(),
        'deaths_foreseen': insight.deaths_foreseen(episodes, deaths),
        'reward_predicted': insight.reward_accuracy(episodes, series['reward'], series['learned']),
    }
    if behavior:
        followed = [
            insight.discounted_returns(reward, discount, bool(episode['is_terminal'][-1]))
            for episode, reward in zip(episodes, series['counted'], strict=True)
        ]
        groups['critic_against'] = insight.critic_accuracy(
            *(np.concatenate(part) for part in (series['value'], followed, series['imagined']))
        )
    return {f'{group}/{k}': value for group, found in groups.items() for k, value in found.items()}


class Recorder:
    """Collects the rows that a driver of one environment passes on.

    Args:
        most: rows kept of an episode, its last ones; None for all.

    Attributes:
        episodes: the finished ones, arrays `[rows, ...]`.
    """

    def __init__(self, most: int | None = None) -> None:
        self.episodes: list[dict[str, np.ndarray]] = []
        self._rows: collections.deque[Row] = collections.deque(maxlen=most)

    def __call__(self, row: Row, worker: int) -> None:
        """Takes the next row."""
        if row['is_first']:
            self._rows.clear()
        self._rows.append(row)
        if row['is_last']:
            self.episodes.append({key: np.stack([r[key] for r in self._rows]) for key in row})


def has_boxes(episode: Arrays) -> bool:
    """Whether an episode records where Mario is; those of earlier versions do not."""
    return {*KEYS, 'log_x', 'log_completed'} <= set(episode)


def predictions(
    agent: Any, episodes: Sequence[Arrays]
) -> Iterator[tuple[int, tuple[int, int, int], dict[str, np.ndarray]]]:
    """Number of the episode, window of `insight.windows`, and predictions in it `[LENGTH, ...]`."""
    todo = [
        (number, window)
        for number, episode in enumerate(episodes)
        for window in insight.windows(len(episode['reward']), LENGTH, OVERLAP)
    ]
    for begin in range(0, len(todo), BATCH):
        part = todo[begin : begin + BATCH]
        cuts = [_cut(episodes[number], start, stop) for number, (start, stop, _) in part]
        cuts += cuts[:1] * (BATCH - len(cuts))  # Always as many, so that it is compiled once.
        found = agent.foresee({key: np.stack([cut[key] for cut in cuts]) for key in cuts[0]})
        for index, (number, window) in enumerate(part):
            own = {k: v[:, index] if k.endswith('_ahead') else v[index] for k, v in found.items()}
            yield number, window, own


def _cut(episode: Arrays, start: int, stop: int) -> dict[str, np.ndarray]:
    """Rows of an episode as a window, padded to `LENGTH` rows."""
    rows = {key: value[start:stop] for key, value in episode.items() if not key.startswith('log_')}
    rows['mask'] = np.ones(stop - start, np.float32)
    window = {
        key: np.concatenate([value, np.zeros((LENGTH - len(value), *value.shape[1:]), value.dtype)])
        for key, value in rows.items()
    }
    window['is_first'][0] = True
    return window
