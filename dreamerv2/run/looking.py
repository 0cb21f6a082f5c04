"""Runs an agent's world model over recorded episodes and gathers what the measures need."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from dreamerv2.run import insight
from dreamerv2.run.insight import Arrays

LENGTH, OVERLAP, CONTEXT = 64, 20, 5  # Rows of a window, of them shared, seen before imagining.
BATCH = 8


def look_at(agent: Any, episodes: Sequence[Arrays], key: str = 'image') -> dict[str, float]:
    """The measures of an agent on episodes.

    Args:
        agent: see `Agent.foresee`.
        episodes: arrays `[rows, ...]` with the boxes.
        key: name of the image.
    """
    sprites = insight.SpriteErrors()
    for episode, (start, stop, counted), found in predictions(agent, episodes):
        made = {steps: found[f'{key}/{steps}'] for steps in insight.STEPS_AHEAD}
        for row in range(max(counted, start + CONTEXT), stop):
            at = row - start
            sprites.add(
                episode[key][row] / np.float32(255),
                episode['log_player'][row],
                episode['log_enemies'][row],
                {k: made[k][at - k] for k in made if at - k >= CONTEXT - 1},
            )
    return {f'model_error/{name}': value for name, value in sprites.metrics().items()}


def predictions(
    agent: Any, episodes: Sequence[Arrays]
) -> Iterator[tuple[Arrays, tuple[int, int, int], dict[str, np.ndarray]]]:
    """What the model predicts at each window of `insight.windows`, by name `[LENGTH, ...]`."""
    todo = [
        (episode, window)
        for episode in episodes
        for window in insight.windows(len(episode['reward']), LENGTH, OVERLAP)
    ]
    for begin in range(0, len(todo), BATCH):
        part = todo[begin : begin + BATCH]
        batch = stacked([cut(episode, *window[:2]) for episode, window in part])
        found = agent.foresee(batch)
        for index, (episode, window) in enumerate(part):
            yield (
                episode,
                window,
                {
                    name: value[:, index] if name.endswith('_ahead') else value[index]
                    for name, value in found.items()
                },
            )


def cut(episode: Arrays, start: int, stop: int) -> dict[str, np.ndarray]:
    """Rows of an episode as a window, filled up to `LENGTH` rows that do not count."""
    rows = {key: value[start:stop] for key, value in episode.items() if not key.startswith('log_')}
    rows['mask'] = np.ones(stop - start, np.float32)
    empty = LENGTH - (stop - start)
    window = {
        key: np.concatenate([value, np.zeros((empty, *value.shape[1:]), value.dtype)])
        for key, value in rows.items()
    }
    window['is_first'][0] = True
    return window


def stacked(cuts: Sequence[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """A batch of always as many windows, so that it is compiled once."""
    cuts = [*cuts, *[cuts[0]] * (BATCH - len(cuts))]
    return {key: np.stack([one[key] for one in cuts]) for key in cuts[0]}
