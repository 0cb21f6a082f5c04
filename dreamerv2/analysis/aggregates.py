"""Many runs on many levels in a few robust numbers, computed by rliable.

Shapes: `S` runs of the agents in question, `C` runs of their baselines, `L` levels; NaN where a
run is missing or has not got there. Scores are normalised, so that levels can be put together: 0
is a random policy, 1 the baseline at T.

Source: Agarwal et al., Deep Reinforcement Learning at the Edge of the Statistical Precipice,
arXiv:2108.13264.
"""

import dataclasses
import math
import warnings
from collections.abc import Callable
from types import ModuleType

import numpy as np

from dreamerv2.analysis import curves, verdicts
from dreamerv2.analysis.text import short


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A number with its 95 % interval; bounds are NaN where there is none, as from a single run."""

    value: float
    low: float = math.nan
    high: float = math.nan

    def __str__(self) -> str:
        if not math.isfinite(self.value):
            return 'none'
        if not math.isfinite(self.low):
            return f'{short(self.value)}, no interval from a single run'
        return f'{short(self.value)} [{short(self.low)}, {short(self.high)}]'


@dataclasses.dataclass(frozen=True)
class Scaled:
    """Normalised scores of agents `[S, L]` and baselines `[C, L]`, and the names of the L levels.

    `left_out` says of the other levels why they have no scale.
    """

    levels: tuple[str, ...]
    agents: np.ndarray
    baselines: np.ndarray
    left_out: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Aggregate:
    """Agents against baselines over all levels that have a scale.

    `agents` and `baselines` are interquartile means of normalised scores; `improvement` is the
    probability that a run of the agents has a higher score than one of the baselines on the same
    level. `runs` are the runs a level on either side.
    """

    levels: tuple[str, ...]
    agents: Estimate
    baselines: Estimate
    improvement: Estimate
    runs: tuple[int, int]
    left_out: tuple[str, ...] = ()

    @property
    def n(self) -> int:
        """The number of runs a level on the side that has fewer."""
        return min(self.runs)

    @property
    def verdict(self) -> str:
        """Whether the interval of `improvement` lies above or below one half, or around it."""
        return verdicts.verdict(self.improvement.low, self.improvement.high, 0.5)

    @property
    def sentences(self) -> list[str]:
        """The interquartile means, and who is better by the probability of improvement."""
        over = f'{len(self.levels)} level{"s" * (len(self.levels) != 1)}'
        if not math.isfinite(self.improvement.value):
            return [f'interquartile mean over {over}: no answer yet']
        return [
            f'interquartile mean of normalised scores over {over}: {self.agents} '
            f'(n = {self.runs[0]}) against {self.baselines} (n = {self.runs[1]})',
            f'probability that a run is better than a baseline: {self.improvement}, '
            f'{self.verdict}{verdicts.reservation(self.n)}',
        ]


def aggregate(scaled: Scaled, *, samples: int = curves.SAMPLES, seed: int = 0) -> Aggregate:
    """Interquartile means of both sides and the probability of improvement."""
    agents, baselines = complete(scaled.agents), complete(scaled.baselines)
    return Aggregate(
        scaled.levels,
        interquartile_mean(agents, samples=samples, seed=seed),
        interquartile_mean(baselines, samples=samples, seed=seed),
        improvement(agents, baselines, samples=samples, seed=seed),
        (len(agents), len(baselines)),
        scaled.left_out,
    )


def complete(scores: np.ndarray) -> np.ndarray:
    """Scores without gaps `[S, L] -> [n, L]`: the first n runs that each level has.

    n is what the level with the fewest runs has. Levels are resampled independently of one another,
    so that it does not matter which runs stand in one row.
    """
    scores = np.asarray(scores, np.float64)
    columns = [column[np.isfinite(column)] for column in scores.T]
    n = min((len(column) for column in columns), default=0)
    return np.array([column[:n] for column in columns]).reshape(len(columns), n).T


def interquartile_mean(
    scores: np.ndarray, *, samples: int = curves.SAMPLES, seed: int = 0
) -> Estimate:
    """Mean of the middle half of all scores, with its stratified bootstrap interval.

    The number of scores cut off at each end is a quarter of all, rounded down. Runs are resampled
    level by level. All levels of a multi-level run belong together, which this cannot know: for
    such runs the interval is rather too narrow.

    Args:
        scores: `[S, L]` without NaN.
        samples: resamples of the bootstrap.
        seed: the same scores and seed give the same interval.
    """
    if not np.size(scores):
        return Estimate(math.nan)
    return _estimate(middle_mean, [scores], samples, seed)


def improvement(
    agents: np.ndarray, baselines: np.ndarray, *, samples: int = curves.SAMPLES, seed: int = 0
) -> Estimate:
    """Probability of improvement with its stratified bootstrap interval.

    Args:
        agents: `[S, L]` without NaN.
        baselines: `[C, L]` without NaN.
        samples: resamples of the bootstrap.
        seed: the same scores and seed give the same interval.
    """
    if not np.size(agents) or not np.size(baselines):
        return Estimate(math.nan)
    return _estimate(share_above, [agents, baselines], samples, seed)


def middle_mean(scores: np.ndarray) -> float:
    """Mean of scores of any shape without the lowest and the highest quarter, rounded down.

    This is rliable's `aggregate_iqm`, without checks that would take most of the time of a
    bootstrap.
    """
    ordered = np.sort(scores, axis=None)
    cut = len(ordered) // 4
    return float(ordered[cut : len(ordered) - cut].mean())


def share_above(agents: np.ndarray, baselines: np.ndarray) -> float:
    """Share of pairs `[S, L]`, `[C, L]` on the same level in which the agent is above.

    A tie counts one half. This is rliable's `probability_of_improvement`, the mean over levels of
    the Mann-Whitney statistic over S C, without its test of significance, which would take most
    of the time of a bootstrap.
    """
    over = np.asarray(agents)[:, None] - np.asarray(baselines)[None]
    return float(np.mean((np.sign(over) + 1) / 2))


def _estimate(
    statistic: Callable[..., float], scores: list[np.ndarray], samples: int, seed: int
) -> Estimate:
    value = float(statistic(*scores))
    if min(len(side) for side in scores) < 2:
        return Estimate(value)
    library = _rliable()
    key = 'scores'
    state = np.random.get_state()
    try:
        # The strata of rliable 1.2 draw from NumPy's global generator, whatever it is given.
        np.random.seed(seed)
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            _, found = library.get_interval_estimates(
                {key: scores if len(scores) > 1 else scores[0]},
                lambda *sides: np.array([statistic(*sides)]),
                reps=samples,
            )
    finally:
        np.random.set_state(state)
    (low,), (high,) = found[key]
    return Estimate(value, float(low), float(high))


def _rliable() -> ModuleType:
    """rliable's `library`, imported when first needed: it takes seconds."""
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        from rliable import library
    return library
