"""What a uniformly random policy reaches on a level, for the runs that are compared with it.

For Mario's levels this was measured (`scripts/measure_random.py`), with the settings of the presets
`mario` and `mario_small`. A run with other settings, or in another game, has its own random
episodes: those of its prefill.
"""

import dataclasses
import functools
import json
import math
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from dreamerv2.analysis.table import Run, number

TABLE = pathlib.Path(__file__).with_name('random_policy.json')
MEASURED, PREFILL = 'measured', 'prefill'


@dataclasses.dataclass(frozen=True)
class RandomPolicy:
    """Episodes of the random policy: how many, and mean and standard deviation of one quantity.

    `source` is `measured` or `prefill`. The deviation is NaN of a single episode.
    """

    mean: float
    std: float
    episodes: int
    source: str

    @property
    def error(self) -> float:
        """Standard error of the mean."""
        return self.std / math.sqrt(self.episodes)


def of_runs(runs: Sequence[Run], level: str, metric: str = 'train_return') -> RandomPolicy | None:
    """The random policy on a level with the settings of these runs, None where it is not known.

    `metric` is `train_return`, `train_progress`, `train_completed` or `train_length` (agent steps);
    `eval_` instead of `train_` alike.
    """
    quantity = metric.split('_', 1)[-1]
    if runs and all(has_settings(run.config) for run in runs):
        entry = table()['levels'].get(level, {})
        if quantity in entry:
            found = entry[quantity]
            return RandomPolicy(found['mean'], found['std'], entry['episodes'], MEASURED)
    return _of_prefill(runs, f'train_{quantity}', level)


def of_task(runs: Sequence[Run], metric: str = 'train_return') -> RandomPolicy | None:
    """The same over all levels of these runs' task, drawn as they draw them.

    Of measured levels, each drawn as often as any other, the deviation is that of all episodes.
    """
    levels = runs[0].levels
    if len(levels) == 1:
        return of_runs(runs, levels[0], metric)
    each = [of_runs(runs, level, metric) for level in levels]
    measured = [one for one in each if one is not None and one.source == MEASURED]
    weighted = any(run.config.get('level_weights') for run in runs)
    if len(measured) == len(each) and not weighted:
        means = np.array([one.mean for one in measured])
        spread = np.mean([one.std**2 for one in measured]) + np.var(means)
        episodes = sum(one.episodes for one in measured)
        return RandomPolicy(float(means.mean()), float(np.sqrt(spread)), episodes, MEASURED)
    return _of_prefill(runs, f'train_{metric.split("_", 1)[-1]}')


def has_settings(config: Mapping[str, Any]) -> bool:
    """Whether a run plays Mario as the table was measured; not so where it does not say."""
    # Runs from before there was a choice of actions have `complex`, too.
    complex_actions = config.get('mario_actions', 'complex') == 'complex'
    is_mario = str(config.get('task', '')).startswith('mario_')
    settings = table()['settings'].items()
    return complex_actions and is_mario and all(number(config.get(x)) == y for x, y in settings)


@functools.cache
def table() -> Mapping[str, Any]:
    """What was measured: `settings` by key of the configuration, and `levels` by name.

    A level has `episodes` and, each with `mean` and `std`, `return`, `progress`, `completed` and
    `length` in agent steps.
    """
    return json.loads(TABLE.read_bytes())


def sources(found: Mapping[str, RandomPolicy | None]) -> str:
    """Where the numbers of several levels come from, in words."""
    parts = []
    for source, words in (
        (MEASURED, '{} episodes a level with the settings of these runs'),
        (PREFILL, '{} prefill episodes of these runs a level'),
    ):
        counts = {level: x.episodes for level, x in found.items() if x and x.source == source}
        if counts:
            ends = dict.fromkeys((min(counts.values()), max(counts.values())))
            parts.append(f'{" ".join(counts)}: {words.format(" to ".join(map(str, ends)))}')
    if unknown := [level for level, one in found.items() if one is None]:
        parts.append(f'{" ".join(unknown)}: not known')
    return '; '.join(parts)


def _of_prefill(runs: Iterable[Run], metric: str, level: str = '') -> RandomPolicy | None:
    parts = []
    for run in runs:
        series = run.prefill.get(f'{metric}/{level}' if level else metric)
        if series is None and run.levels == (level,):
            series = run.prefill.get(metric)
        if series is not None and run.config.get('prefill_policy', 'random') == 'random':
            parts.append(series.values)
    if not parts:
        return None
    values = np.concatenate(parts)
    std = float(values.std(ddof=1)) if len(values) > 1 else math.nan
    return RandomPolicy(float(values.mean()), std, len(values), PREFILL)
