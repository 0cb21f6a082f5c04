"""Evaluation: episodes on each level in turn, in environments of their own."""

from __future__ import annotations

import functools
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from dreamerv2.envs.contract import Environment
from dreamerv2.envs.workers import InProcess
from dreamerv2.run.driver import Driver, StepCallback
from dreamerv2.run.metrics.episode_summary import EpisodeSummary
from dreamerv2.run.metrics.terminal import print_line
from dreamerv2.run.types import Policy, Row

LONGEST_EPISODE = 30_000  # Agent steps, where there is no time limit.
TAIL = 0.025  # On either side of a 95 % interval.
POLICY_MODES = {'mode': 'eval', 'sample': 'eval_sample', 'train': 'train'}
TABLE_NOTE = (
    'Mean and 95 % interval in brackets; of completed episodes, their share. The spread is over '
    'episodes of this one checkpoint: agents of other seeds may differ by more.'
)


def share_interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Proportion of ones among zeros and ones, and the ends of its 95 % interval.

    Clopper and Pearson's (1934), which covers at least 95 %; 0 or n completed out of n still gives
    an interval. The ends are NaN for a single value, all three for none.
    """
    from scipy import special  # Only here, so that a run does not wait for it to start.

    if not values:
        return math.nan, math.nan, math.nan
    n, ones = len(values), round(sum(values))
    if n < 2:
        return ones / n, math.nan, math.nan
    low = special.betaincinv(ones, n - ones + 1, TAIL) if ones else 0.0
    high = special.betaincinv(ones + 1, n - ones, 1 - TAIL) if ones < n else 1.0
    return ones / n, float(low), float(high)


def mean_interval(
    values: Sequence[float], lowest: float = -math.inf, highest: float = math.inf
) -> tuple[float, float, float]:
    """Mean and the ends of its 95 % interval by Student's t, within the possible range.

    The ends are NaN where the spread is unknown, with fewer than two values or all equal; without
    values all three are.

    Args:
        values: `[n]`.
        lowest, highest: bounds of a single value, and so of the mean.
    """
    from scipy import special  # Only here, so that a run does not wait for it to start.

    if not values:
        return math.nan, math.nan, math.nan
    array = np.asarray(values, np.float64)
    mean = float(array.mean())
    if np.ptp(array) == 0:
        return mean, math.nan, math.nan
    quantile = float(special.stdtrit(len(array) - 1, 1 - TAIL))
    half = quantile * float(array.std(ddof=1)) / math.sqrt(len(array))
    return mean, max(mean - half, lowest), min(mean + half, highest)


def longest_episode(time_limit: int, budget: int = LONGEST_EPISODE) -> int:
    """Agent steps after which an evaluation cuts an episode off; the time limit, if there is one.

    Otherwise more than any Mario or Atari episode takes (27,000 on Atari), but in a run no more
    than its budget (at least 1,000).
    """
    return time_limit or min(LONGEST_EPISODE, max(budget, 1000))


class Evaluator:
    """Plays episodes on each of several levels.

    The environments are made at the first evaluation and kept.

    Args:
        makers: by level name, what makes its environment.
        longest: agent steps after which an episode that does not end is cut off.
    """

    def __init__(
        self, makers: Mapping[str, Callable[[], Environment]], longest: int = LONGEST_EPISODE
    ) -> None:
        self._longest = longest
        self._makers = dict(makers)
        self._envs: dict[str, Environment] = {}
        self._restored: dict[str, Any] = {}

    @property
    def levels(self) -> list[str]:
        """Names of the levels, in the order in which they are played."""
        return list(self._makers)

    def evaluate(
        self,
        policy: Policy,
        episodes: int,
        *,
        video_keys: Sequence[str] = (),
        on_step: Sequence[StepCallback] = (),
        should_stop: Callable[[], bool] = lambda: False,
        say: Callable[[str], Any] = lambda line: print_line(line, sys.stderr),
        progress: Callable[[str, int, int], Any] = lambda level, played, steps: None,
    ) -> list[EpisodeSummary] | None:
        """Plays `episodes` episodes on each level; returns None when stopped early.

        An episode that does not end within `longest` steps is cut off, as by a time limit, and is
        the last of its level; `say` reports it. After every step `progress` is called with the
        level, the number of episodes played so far on all levels, and the agent steps of the
        current one.
        """
        results: list[EpisodeSummary] = []
        for number, level in enumerate(self._makers):
            maker = functools.partial(self.env, level)
            told = [functools.partial(_tell, callback, number) for callback in on_step]
            driver = Driver(InProcess([maker]), on_step=told, video_keys=video_keys)
            played = steps = 0
            while played < episodes:
                if should_stop():
                    return None
                ended = driver.step(policy).episodes
                steps = 0 if ended else steps + 1
                if steps >= self._longest:
                    ended = driver.cut_off()
                    say(
                        f'Evaluation on {level}: an episode had not ended after {steps} agent '
                        'steps and was cut off, the last one on this level; --time_limit says '
                        'when to.'
                    )
                    played = episodes
                results.extend(ended)
                played += len(ended)
                progress(level, len(results), 0 if ended else steps)
        return results

    def env(self, level: str) -> Environment:
        """A level's environment."""
        if level not in self._envs:
            self._envs[level] = self._makers[level]()
            if level in self._restored:
                self._envs[level].set_state(self._restored[level])
        return self._envs[level]

    def get_state(self) -> dict[str, Any]:
        """The environments' random-number states, by level."""
        return {**self._restored, **{name: env.get_state() for name, env in self._envs.items()}}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Takes what `get_state` gave."""
        self._restored = dict(state)
        for name, env in self._envs.items():
            if name in state:
                env.set_state(state[name])

    def close(self) -> None:
        """Closes the environments."""
        for env in self._envs.values():
            env.close()
        self._envs = {}


def _tell(callback: StepCallback, level: int, row: Row, worker: int) -> None:
    callback({**row, 'level': np.int32(level)}, worker)


def by_level(episodes: Sequence[EpisodeSummary]) -> dict[str, list[EpisodeSummary]]:
    """Episodes grouped by level, in the order of first appearance."""
    groups: dict[str, list[EpisodeSummary]] = {}
    for episode in episodes:
        groups.setdefault(episode.level, []).append(episode)
    return groups


def _present(values: Sequence[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def _statistic(mean: float, low: float, high: float) -> dict[str, float | None]:
    return {
        'mean': None if math.isnan(mean) else mean,
        'low': None if math.isnan(low) else low,
        'high': None if math.isnan(high) else high,
    }


def level_results(
    episodes: Sequence[EpisodeSummary], time_limit: int = 0
) -> dict[str, dict[str, Any]]:
    """Statistics by level: number of episodes; mean and 95 % interval of return, length and so on.

    `progress`, `completed` and `furthest_x` are present only where the environment reports them;
    `completed` also has the `count`. A statistic that cannot be computed is None. `values` holds
    the value of each episode. Episodes are no longer than `time_limit`, if there is one.
    """
    longest = time_limit or math.inf
    bounds = {'progress': (0.0, 1.0), 'furthest_x': (0.0, math.inf)}
    results: dict[str, dict[str, Any]] = {}
    for level, group in by_level(episodes).items():
        entry: dict[str, Any] = {
            'episodes': len(group),
            'return': _statistic(*mean_interval([episode.score for episode in group])),
            'length': _statistic(
                *mean_interval([float(episode.length) for episode in group], 1.0, longest)
            ),
        }
        returns = [episode.score for episode in group]
        listed: dict[str, list[float]] = {'returns': returns}
        for name in ('progress', 'completed', 'furthest_x'):
            values = _present([getattr(episode, name) for episode in group])
            if not values:
                continue
            listed[name] = values
            if name == 'completed':
                entry[name] = {**_statistic(*share_interval(values)), 'count': round(sum(values))}
            else:
                entry[name] = _statistic(*mean_interval(values, *bounds[name]))
        entry['returns'] = returns
        entry['values'] = listed
        results[level] = entry
    return results


def evaluation_metrics(episodes: Sequence[EpisodeSummary]) -> dict[str, float]:
    """Means over an evaluation, overall and by level, named as in `metrics.jsonl`."""
    metrics = {
        'eval_return': float(np.mean([episode.score for episode in episodes])),
        'eval_length': float(np.mean([episode.length for episode in episodes])),
        'eval_episodes': float(len(episodes)),
    }
    for level, entry in level_results(episodes).items():
        for name in ('return', 'length', 'progress', 'completed'):
            if name in entry:
                metrics[f'eval_{name}/{level}'] = entry[name]['mean']
    return metrics


def score(metrics: Mapping[str, float]) -> float | tuple[float, float, float]:
    """How good an evaluation was; decides which checkpoint is the best.

    Completion, then progress, then return, each the mean over levels, where the environment reports
    them, since a policy that walks in circles has a high return. Elsewhere the mean return.

    Args:
        metrics: as of `evaluation_metrics`.
    """

    def mean(name: str) -> float:
        found = [value for key, value in metrics.items() if key.startswith(f'eval_{name}/')]
        return float(np.mean(found)) if found else math.nan

    numbers = mean('completed'), mean('progress'), mean('return')
    return numbers if all(map(math.isfinite, numbers)) else metrics['eval_return']


def shown_score(value: float | tuple[float, float, float]) -> str:
    """A score in words."""
    if not isinstance(value, tuple):
        return f'a return of {value:.1f}'
    completed, progress, returns = value
    return f'completed {100 * completed:.0f} %, progress {progress:.3f}, return {returns:.1f}'


def summary_line(episodes: Sequence[EpisodeSummary], frames: int) -> str:
    """An evaluation at a frame in one line: by level, return with n and 95 % interval; flags."""
    parts = []
    for level, entry in level_results(episodes).items():
        part = f'{level} return {_shown(entry["return"], 1)} (n={entry["episodes"]})'
        if 'completed' in entry:
            part += f', {_flags(entry)} completed'
        parts.append(part)
    return f'Evaluation at {frames} frames: ' + '; '.join(parts)


def table(results: Mapping[str, Mapping[str, Any]]) -> str:
    """Results of `level_results` as a table of text."""
    header = ('level', 'n', 'return', 'length', 'progress', 'completed')
    rows = [header]
    for level, entry in results.items():
        rows.append(
            (
                level,
                str(entry['episodes']),
                _shown(entry['return'], 1),
                _shown(entry['length'], 1),
                _shown(entry.get('progress'), 3),
                _completed(entry),
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(header))]
    lines = [
        '  '.join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    return '\n'.join(lines)


def _flags(entry: Mapping[str, Any]) -> str:
    """`3 of 10`."""
    return f'{entry["completed"]["count"]} of {len(entry["values"]["completed"])}'


def _completed(entry: Mapping[str, Any]) -> str:
    """`3 of 10 [0.07, 0.65]`: flags, and the 95 % interval of the proportion if there is one."""
    if 'completed' not in entry:
        return '-'
    return f'{_flags(entry)}{_interval(entry["completed"], 2)}'


def _interval(statistic: Mapping[str, Any], digits: int) -> str:
    if statistic['low'] is None:
        return ''
    return f' [{statistic["low"]:.{digits}f}, {statistic["high"]:.{digits}f}]'


def _shown(statistic: Mapping[str, float | None] | None, digits: int) -> str:
    """Mean, with its 95 % interval in brackets if there is one."""
    if statistic is None or statistic['mean'] is None:
        return '-'
    return f'{statistic["mean"]:.{digits}f}{_interval(statistic, digits)}'
