"""Means with their 95 % intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

# Quantile 0.975 of Student's t distribution for 1 to 30 degrees of freedom.
T_QUANTILES = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
    2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086,
    2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)  # fmt: skip


def t_quantile(degrees: int) -> float:
    """Quantile 0.975 of Student's t; above 30 degrees by its expansion around the normal's.

    The first two terms of the Cornish-Fisher expansion are within 1e-4 there (Abramowitz and
    Stegun, 26.7.5).
    """
    if degrees <= len(T_QUANTILES):
        return T_QUANTILES[degrees - 1]
    z = 1.959964
    return z + (z**3 + z) / (4 * degrees) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * degrees**2)


def share_interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Share of ones among zeros and ones, and the ends of its 95 % interval (Wilson 1927)."""
    if not values:
        return math.nan, math.nan, math.nan
    n, share, z = len(values), sum(values) / len(values), 1.959964
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return share, max(0.0, middle - half), min(1.0, middle + half)


def mean_interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Mean and the ends of its 95 % interval by Student's t.

    The ends are NaN where fewer than two values say nothing about the spread; all three are for
    no values.
    """
    if not values:
        return math.nan, math.nan, math.nan
    array = np.asarray(values, np.float64)
    mean = float(array.mean())
    if len(array) < 2:
        return mean, math.nan, math.nan
    half = t_quantile(len(array) - 1) * float(array.std(ddof=1)) / math.sqrt(len(array))
    return mean, mean - half, mean + half
