"""Whether agents differ from their baselines: one number a run, Welch's t-test, Holm's correction.

Shapes: `S` runs of one side, `L` levels; NaN where a run or a level of it is missing. Axes before
these two are independent repetitions, so that a simulation is one call.

A row is one observation. Levels of a multi-level run, and the children of one pre-trained parent,
stand in one row, because what happened to that run happened to all of them. A complete row counts
with its mean over levels.

Ranks have to show a difference, too: in the mean over levels, or on a single level after
Bonferroni's correction for the number of levels. A comparison by itself needs 5 % by ranks. In a
family the p of ranks counts with its power of 1.5, which costs no power and keeps the level of 18
skewed comparisons. Welch's test alone errs in up to 8 % of comparisons of skewed multi-level runs
with single-level baselines, whose means over levels are much less skewed, and in up to 9 % of
families of them. Rates: experiments/results/statistics.md.

Sources: Welch (1947), Biometrika 34; Holm (1979), Scandinavian Journal of Statistics 6; Fieller
(1954), JRSS B 16; Schuirmann (1987), two one-sided tests of equivalence.
"""

import dataclasses
import itertools
import math
from typing import Any

import numpy as np
from scipy import special, stats

ALPHA = 0.05
POWER = 0.8
# Fewer seeds have an interval and no verdict; below ENOUGH_SEEDS a verdict is an indication only.
FEWEST_SEEDS = 3
ENOUGH_SEEDS = 5
# Differences below this are called equivalent, if shown to be: a tenth of the way from the random
# policy to the baseline at T, of a level, or of all episodes.
EQUIVALENT = 0.1

UNDECIDED = 'not distinguishable at this n'
TOO_FEW = 'too few seeds'
INDICATION = 'indication only'

# What the need for ranks to agree leaves of the noncentrality of t (simulated, uncorrected).
_KEPT_BY_RANKS = 0.965
# Deviations below this share of the numbers themselves are rounding, not spread.
_ROUNDING = 1e-9

# A number, or an array of one for each repetition.
Number = Any


@dataclasses.dataclass(frozen=True)
class Side:
    """Mean over levels of the means over runs, the variance of that mean, its degrees of freedom.

    `n` is the number of runs a level has on average; `variance` is NaN from a single run.
    """

    mean: Number
    variance: Number
    freedom: Number
    n: Number


@dataclasses.dataclass(frozen=True)
class Contrast:
    """Agents minus baselines, with the standard error and degrees of freedom of the difference.

    `p` is two-sided and not corrected; NaN where a side has fewer than two runs a level.
    """

    agents: Side
    baselines: Side
    difference: Number
    error: Number
    freedom: Number
    p: Number

    @property
    def n(self) -> Number:
        """Whole runs a level on the side that has fewer."""
        return np.floor(np.minimum(self.agents.n, self.baselines.n) + _ROUNDING)

    @property
    def half_width(self) -> Number:
        """Half of the 95 % interval of the difference; NaN where nothing varies."""
        varies = np.where(np.asarray(self.error) > 0, self.error, np.nan)
        return stats.t.ppf(1 - ALPHA / 2, self.freedom) * varies


def side(values: np.ndarray) -> Side:
    """One side of a contrast from its scores `[..., S, L]`.

    With complete rows the variance is that of the rows' means over S. Where scores are missing
    every level keeps its weight and uses what is there. The spread of a level with a single run is
    taken from the other levels, in the direction in which that run differs on those.
    """
    values = np.asarray(values, np.float64)
    present = np.isfinite(values)
    count = present.sum(-2)
    levels = values.shape[-1]
    known = (count > 0).all(-1) & (levels > 0)
    counted = np.maximum(count, 1)
    means = np.where(present, values, 0.0).sum(-2) / counted
    residuals = np.where(present, values - means[..., None, :], 0.0)
    freedom = (counted - 1).sum(-1)
    pooled = np.sqrt((residuals**2).sum((-2, -1)) / np.maximum(freedom, 1))
    unbiased = np.sqrt(counted / np.maximum(counted - 1, 1))
    weights = 1 / (max(levels, 1) * counted)
    rows = (residuals * (unbiased * weights)[..., None, :]).sum(-1)
    alone = (present & (count == 1)[..., None, :]).sum(-1)
    rows = rows + np.copysign(alone * pooled[..., None] / max(levels, 1), rows)
    n = count.mean(-1) if levels else np.zeros(count.shape[:-1])
    return Side(
        np.where(known, means.mean(-1) if levels else np.nan, np.nan),
        np.where(known & (freedom > 0), (rows**2).sum(-1), np.nan),
        np.where(known & (freedom > 0), n - 1, np.nan),
        np.where(known, n, 0.0),
    )


def contrast(agents: np.ndarray, baselines: np.ndarray) -> Contrast:
    """Agents `[..., S, L]` against baselines `[..., C, L]` on the same levels."""
    agents, baselines = np.asarray(agents, np.float64), np.asarray(baselines, np.float64)
    first, second = side(agents), side(baselines)
    difference, error, freedom, p = _welch(first, second)
    by_rank = _p_of_ranks(agents, baselines)
    # Stricter in a family, though less so than Welch's p; ranks of three runs cannot be that clear.
    few = np.minimum(first.n, second.n) < FEWEST_SEEDS + 1
    clear = np.where(few, 0.0, by_rank * np.sqrt(by_rank / ALPHA))
    p = np.maximum(p, np.where(by_rank <= ALPHA, clear, by_rank))
    return Contrast(first, second, difference, error, freedom, p)


def _p_of_ranks(agents: np.ndarray, baselines: np.ndarray) -> Number:
    """The smaller p of ranks in the mean over levels, and on single levels (Bonferroni)."""
    ranks = _ranks(agents, baselines)
    together = _welch(*map(side, ranks))[3]
    # Each level for itself: levels as repetitions of one column.
    single = _welch(*(side(np.swapaxes(x, -1, -2)[..., None]) for x in ranks))[3]
    levels = agents.shape[-1]
    best = np.min(np.where(np.isnan(single), 1.0, single), -1, initial=1.0)
    return np.minimum(together, np.minimum(best * levels, 1.0))


def _welch(first: Side, second: Side) -> tuple[Number, Number, Number, Number]:
    """Difference, its standard error and degrees of freedom, and the two-sided p.

    Where nothing varies there is no t: p is then 1 for equal sides, and else that of the exact
    permutation test for sides without overlap, 2 / C(n1 + n2, n1); 0.008 at five runs a side.
    """
    difference = first.mean - second.mean
    size = np.maximum(np.abs(first.mean), np.abs(second.mean))
    variance = first.variance + second.variance
    varies = ~(variance <= (_ROUNDING * size) ** 2)
    some = np.where(varies, variance, 1.0)
    parts = [s.variance**2 / np.maximum(s.freedom, _ROUNDING) for s in (first, second)]
    freedom = np.where(
        varies, some**2 / np.where(varies, parts[0] + parts[1], 1.0), first.freedom + second.freedom
    )
    error = np.where(varies, np.sqrt(some), 0.0)
    p = 2 * stats.t.sf(np.abs(difference) / np.sqrt(some), freedom)
    runs = [np.floor(s.n + _ROUNDING) for s in (first, second)]
    exact = np.minimum(2 / special.comb(runs[0] + runs[1], runs[0]), 1.0)
    constant = np.where(np.abs(difference) <= _ROUNDING * size, 1.0, exact)
    return difference, error, freedom, np.where(varies, p, constant)


def _ranks(agents: np.ndarray, baselines: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scores as the share of all scores on the same level that are below; ties count one half."""
    both = np.concatenate([agents, baselines], -2)
    mine, others = both[..., :, None, :], both[..., None, :, :]
    below = ((mine > others) + 0.5 * (mine == others)).sum(-2)
    share = below / np.maximum(np.isfinite(both).sum(-2, keepdims=True), 1)
    share = np.where(np.isfinite(both), share, np.nan)
    return share[..., : agents.shape[-2], :], share[..., agents.shape[-2] :, :]


def holm(p: np.ndarray) -> np.ndarray:
    """p-values of one family `[K]` after Holm's correction; NaN is no member of it."""
    p = np.asarray(p, np.float64)
    adjusted = np.full(p.shape, np.nan)
    order = np.argsort(p)[: np.isfinite(p).sum()]
    factors = len(order) - np.arange(len(order))
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * factors), 1.0)
    return adjusted


def word(difference: float, adjusted: float, n: float) -> str:
    """The verdict with its reservation: `better`, `worse; indication only`, `too few seeds`, ..."""
    if n < FEWEST_SEEDS:
        return TOO_FEW
    found = UNDECIDED
    if adjusted <= ALPHA:
        found = 'better' if difference > 0 else 'worse'
    return found if n >= ENOUGH_SEEDS else f'{found}; {INDICATION}'


def ratio(one: Contrast) -> tuple[float, float, float]:
    """Mean of the agents over that of the baselines, with Fieller's 95 % interval.

    The interval leaves out 1 just where that of the difference leaves out 0. NaN bounds where
    the baselines are not clearly above 0, and NaN altogether where a mean is not above 0.
    """
    a, b = float(one.agents.mean), float(one.baselines.mean)
    if not (a > 0 and b > 0):
        return math.nan, math.nan, math.nan
    t = float(stats.t.ppf(1 - ALPHA / 2, one.freedom))
    square = b**2 - t**2 * float(one.baselines.variance)
    root = (a * b) ** 2 - square * (a**2 - t**2 * float(one.agents.variance))
    if not (square > 0 and root > 0):
        return a / b, math.nan, math.nan
    return a / b, (a * b - math.sqrt(root)) / square, (a * b + math.sqrt(root)) / square


def detectable(one: Contrast, family: int) -> float:
    """The smallest true difference that this n and spread show with 80 % power.

    In a family of `family` comparisons it has to pass the strictest step of the correction.
    NaN where the spread is not known, and for two runs a side, which get no verdict.
    """
    freedom, error = float(one.freedom), float(one.error)
    if not (freedom > 0 and error > 0 and one.n >= FEWEST_SEEDS):
        return math.nan
    bound = stats.t.ppf(1 - ALPHA / family / 2, freedom)
    return error * float(special.nctdtrinc(freedom, 1 - POWER, bound)) / _KEPT_BY_RANKS


def seeds_needed(effect: float, family: int) -> int:
    """Seeds a side that show a difference of `effect` standard deviations with 80 % power.

    Both sides have the same spread, and the correction is as in `detectable`.
    """

    def power(n: int) -> float:
        bound = stats.t.ppf(1 - ALPHA / family / 2, 2 * n - 2)
        return stats.nct.sf(bound, 2 * n - 2, effect * math.sqrt(n / 2) * _KEPT_BY_RANKS)

    return next(n for n in itertools.count(FEWEST_SEEDS) if power(n) >= POWER)


def equivalent(one: Contrast, family: int) -> bool:
    """Whether two one-sided tests show the difference to be smaller than EQUIVALENT.

    Never from fewer than FEWEST_SEEDS runs a side, nor where nothing varies.
    """
    if one.n < FEWEST_SEEDS or not one.error > 0:
        return False
    p = stats.t.sf((EQUIVALENT - abs(one.difference)) / one.error, one.freedom)
    return bool(p * family <= ALPHA)
