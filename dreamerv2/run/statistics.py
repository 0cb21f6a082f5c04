"""Means with their 95 % intervals.

SciPy is imported when first needed, so that a run does not wait for it to start.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

TAIL = 0.025


def share_interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Share of ones among zeros and ones, and the ends of its 95 % interval.

    Clopper and Pearson's (1934), which covers any share at least as often as it says; that none or
    all of n episodes were completed leaves more than one share possible. The ends are NaN for a
    single value, all three for none.
    """
    from scipy import special

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
    """Mean and the ends of its 95 % interval by Student's t, within what is possible.

    The ends are NaN where the values say nothing about their spread, because there are fewer than
    two or all are the same; all three are for no values.

    Args:
        values: `[n]`.
        lowest, highest: bounds of a single value, and so of the mean.
    """
    from scipy import special

    if not values:
        return math.nan, math.nan, math.nan
    array = np.asarray(values, np.float64)
    mean = float(array.mean())
    if np.ptp(array) == 0:
        return mean, math.nan, math.nan
    quantile = float(special.stdtrit(len(array) - 1, 1 - TAIL))
    half = quantile * float(array.std(ddof=1)) / math.sqrt(len(array))
    return mean, max(mean - half, lowest), min(mean + half, highest)
