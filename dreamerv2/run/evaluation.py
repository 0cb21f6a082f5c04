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
from dreamerv2.run.types import Policy, Row, Say

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

    Args:
        makers: by level name, what makes its environment, at the first evaluation.
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
        say: Say = lambda line: print_line(line, sys.stderr),
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

            def told(row: Row, worker: int, number: int = number) -> None:
                for callback in on_step:
                    callback({**row, 'level': np.int32(number)}, worker)

            driver = Driver(InProcess([maker]), on_step=[told], video_keys=video_keys)
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
        self.close()  # Environments are made again, in this state, when they are needed.
        self._restored = dict(state)

    def close(self) -> None:
        """Closes the environments."""
        for env in self._envs.values():
            env.close()
        self._envs = {}


def _statistic(mean: float, low: float, high: float) -> dict[str, float | None]:
    found = {'mean': mean, 'low': low, 'high': high}
    return {name: None if math.isnan(value) else value for name, value in found.items()}


def level_results(episodes: Sequence[EpisodeSummary], time_limit: int = 0) -> dict[str, Any]:
    """Statistics by level: number of episodes; mean and 95 % interval of return, length and so on.

    `progress`, `completed` and `furthest_x` are present only where the environment reports them;
    `completed` also has the `count`. A statistic that cannot be computed is None. `values` holds
    the value of each episode. Episodes are no longer than `time_limit`, if there is one.
    """
    groups: dict[str, list[EpisodeSummary]] = {}
    for episode in episodes:
        groups.setdefault(episode.level, []).append(episode)
    results = {}
    for level, group in groups.items():
        returns = [episode.score for episode in group]
        lengths = [float(episode.length) for episode in group]
        entry: dict[str, Any] = {
            'episodes': len(group),
            'return': _statistic(*mean_interval(returns)),
            'length': _statistic(*mean_interval(lengths, 1.0, time_limit or math.inf)),
        }
        listed = {'returns': returns}
        for name, highest in (('progress', 1.0), ('completed', 1.0), ('furthest_x', math.inf)):
            found = [getattr(episode, name) for episode in group]
            if values := [value for value in found if value is not None]:
                listed[name] = values
                entry[name] = _statistic(*mean_interval(values, 0.0, highest))
        if flags := listed.get('completed'):
            entry['completed'] = _statistic(*share_interval(flags)) | {'count': round(sum(flags))}
        results[level] = {**entry, 'returns': returns, 'values': listed}
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
        parts.append(part + (f', {_flags(entry)} completed' if 'completed' in entry else ''))
    return f'Evaluation at {frames} frames: ' + '; '.join(parts)


def table(results: Mapping[str, Mapping[str, Any]]) -> str:
    """Results of `level_results` as a table of text."""
    rows: list[tuple[str, ...]] = [('level', 'n', 'return', 'length', 'progress', 'completed')]
    for level, entry in results.items():
        completed = '-'
        if 'completed' in entry:
            completed = f'{_flags(entry)}{_interval(entry["completed"], 2)}'
        means = (_shown(entry[name], 1) for name in ('return', 'length'))
        progress = _shown(entry.get('progress'), 3)
        rows.append((level, str(entry['episodes']), *means, progress, completed))
    first, *widths = (max(map(len, column)) for column in zip(*rows, strict=True))
    return '\n'.join(
        '  '.join([row[0].ljust(first), *map(str.rjust, row[1:], widths)]).rstrip() for row in rows
    )


def _flags(entry: Mapping[str, Any]) -> str:
    """`3 of 10`."""
    return f'{entry["completed"]["count"]} of {len(entry["values"]["completed"])}'


def _interval(statistic: Mapping[str, Any], digits: int) -> str:
    """` [0.07, 0.65]`, or nothing where it is not known."""
    if statistic['low'] is None:
        return ''
    return f' [{statistic["low"]:.{digits}f}, {statistic["high"]:.{digits}f}]'


def _shown(statistic: Mapping[str, float | None] | None, digits: int) -> str:
    """Mean, with its 95 % interval in brackets if there is one."""
    if statistic is None or statistic['mean'] is None:
        return '-'
    return f'{statistic["mean"]:.{digits}f}{_interval(statistic, digits)}'
