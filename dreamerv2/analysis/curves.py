"""Learning curves as numbers: pure functions from arrays to arrays, nothing read and nothing drawn.

Shapes: `n` values of one run, `B` points of a common grid of frames, `S` seeds. NaN in a curve
means that the run has nothing to say at this point: before its first value, or past its end.
"""

import math
from typing import Any

import numpy as np
from scipy import stats

# Fewest values through which a line is laid.
LINE = 5
# How far from a frame a value may lie that says something of it, as a share of the frame.
_FURTHEST = 1 / 3


def frame_grid(end: float, bins: int) -> np.ndarray:
    """`bins` frames float64 `[bins]`, evenly spaced, the right edges of the bins of (0, end]."""
    if end <= 0 or bins < 1:
        raise ValueError(f'a grid needs an end and a number of bins above 0, got {end} and {bins}')
    return end * np.arange(1, bins + 1) / bins


def on_grid(
    steps: np.ndarray, values: np.ndarray, grid: np.ndarray, *, end: float, window: int = 1
) -> np.ndarray:
    """One run's values brought onto a common grid.

    A window of fewer than `LINE` values is a running mean: a point of the grid gets the mean of all
    values since the point before it, and of no fewer than the last `window` ones.

    A larger one is a local linear regression: a straight line is fitted to the values around a
    point, later ones too, and read off at the point. A mean over the last values shows a rising
    curve where it was half a window ago, which in a short run is a good part of it; a line has no
    such lag, not even at the end of the run (Fan and Gijbels, Local Polynomial Modelling and Its
    Applications, 1996, section 3.2). The values are those nearest to the point: `window` of them,
    but none further from it than a third of its own frame; at least `LINE`; and always all within
    half of the grid's spacing. A curve stays between 0 and 1 where all values do, as progress does.

    Args:
        steps: frames of the values, ascending `[n]`.
        values: `[n]`.
        grid: frames, ascending `[B]`.
        end: frame up to which the run is known.
        window: least number of values in a mean, or number of values around a point.

    Returns:
        float64 `[B]`, NaN before the first value and past `end`; nothing is extrapolated.
    """
    steps, values = np.asarray(steps, np.float64), np.asarray(values, np.float64)
    lasts = np.searchsorted(steps, grid, side='right')
    firsts = np.concatenate([[0], lasts[:-1]])
    widths = np.diff(grid, prepend=0.0)
    curve = np.full(len(grid), np.nan)
    for i, last in enumerate(lasts):
        if last == 0 or grid[i] > end:
            continue
        if window < LINE:
            curve[i] = values[max(min(firsts[i], last - window), 0) : last].mean()
        else:
            curve[i] = _local_line(steps, values, grid[i], widths[i], end, window)
    return _as_shares(curve, values)


def _as_shares(found: Any, values: np.ndarray) -> Any:
    """What was found between 0 and 1, where all values `[n]` are."""
    shares = len(values) > 0 and values.min() >= 0 and values.max() <= 1
    return np.clip(found, 0.0, 1.0) if shares else found


def _local_line(
    steps: np.ndarray, values: np.ndarray, frame: float, width: float, end: float, window: int
) -> float:
    """A line through the values `[n]` around a frame, at that frame; see `on_grid`."""
    distance = np.abs(steps - frame)
    fewest, enough = (min(count, len(steps)) - 1 for count in (LINE, window))
    nearest = np.partition(distance, (fewest, enough))
    # Where nothing comes behind the frame, the whole spacing lies before it.
    spacing = max(width / 2, width - (end - frame))
    reach = max(min(nearest[enough], frame * _FURTHEST), nearest[fewest], spacing)
    near = distance <= reach
    return line_at(steps[near], values[near], frame)


def line_at(steps: np.ndarray, values: np.ndarray, frame: float) -> float:
    """A straight line fitted to values `[n]` at ascending frames `[n]`, read off at `frame`.

    The mean where they are fewer than `LINE`, or all at one frame.
    """
    centred = steps - steps.mean()
    spread = float(centred @ centred)
    if len(steps) < LINE or spread == 0:
        return float(values.mean())
    # Past the last value no further than to where the next one may be expected.
    at = min(frame, steps[-1] + (steps[-1] - steps[0]) / (len(steps) - 1))
    return float(values.mean() + centred @ values / spread * (at - steps.mean()))


def value_by(
    steps: np.ndarray, values: np.ndarray, frame: float, width: float, *, end: float
) -> float:
    """One run's value at one frame: a line through those of (frame - width, frame], read off there.

    A mean would be that of an earlier frame, and so be unfair to the side that rises faster. The
    window holds at least the last `LINE` values before the frame; of fewer it is their mean.
    Shares stay between 0 and 1. NaN where the run has not got to `frame` or has no value yet.

    The arguments are those of `on_grid`; `width` is the length of the window in frames.
    """
    first, last = np.searchsorted(steps, [frame - width, frame], side='right')
    if last == 0 or frame > end:
        return math.nan
    near = slice(max(min(first, last - LINE), 0), last)
    return float(_as_shares(line_at(steps[near].astype(np.float64), values[near], frame), values))


def seed_mean(curves: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean over the seeds present at each point, and their number: `[S, B] -> [B], int [B]`."""
    present = np.isfinite(curves)
    count = present.sum(0)
    total = np.where(present, curves, 0.0).sum(0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan), count


def count_curves(curves: np.ndarray) -> int:
    """How many of curves `[S, B]` have a value anywhere."""
    return int(np.isfinite(curves).any(1).sum())


def mean_band(curves: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The 95 % confidence band of the mean over seeds at each point `[S, B] -> low [B], high [B]`.

    Student's t on the runs present at that point, so that the band is as wide as few runs make
    it. Where fewer than two are present there is none (NaN).
    """
    mean, count = seed_mean(curves)
    squares = np.nansum((curves - mean) ** 2, 0)
    freedom = np.where(count > 1, count - 1, np.nan)
    half = stats.t.ppf(0.975, freedom) * np.sqrt(squares / freedom / count)
    return mean - half, mean + half


def jump_start(values: np.ndarray, episodes: int = 20) -> float:
    """Mean of the first `episodes` values `[n]` after prefill; NaN while there are fewer."""
    return float(values[:episodes].mean()) if len(values) >= episodes else math.nan


def area_under(grid: np.ndarray, curve: np.ndarray, upto: float) -> float:
    """Area under a curve `[B]` over frames `[B]`, from its first point to `upto`, by trapezoids.

    Between two points the curve is taken as straight, at `upto` too. NaN where the curve has no
    point at or before `upto`, does not reach it, or has a gap before it.
    """
    known = np.flatnonzero(np.isfinite(curve))
    if not len(known) or grid[known[0]] > upto or grid[known[-1]] < upto:
        return math.nan
    inside = slice(known[0], np.searchsorted(grid, upto))
    frames = np.append(grid[inside], upto)
    heights = np.append(curve[inside], np.interp(upto, grid[known], curve[known]))
    return float(np.trapz(heights, frames))


def areas(grid: np.ndarray, curves: np.ndarray, upto: float) -> np.ndarray:
    """Area up to `upto` of each of several curves from the first frame all of them have.

    Frames `[B]` and curves `[S, B]` to float64 `[S]`. Curves that start later than others, because
    their first episode ended later, would otherwise be compared over different spans. Curves that
    do not reach `upto` give NaN and do not move the start.
    """
    known = np.isfinite(curves)
    reach = known[:, grid >= upto].any(1)
    common = np.array(curves, np.float64)
    common[:, : known[reach].argmax(1).max(initial=0)] = np.nan
    return np.array([area_under(grid, curve, upto) for curve in common], np.float64)


def steps_to_threshold(grid: np.ndarray, curve: np.ndarray, threshold: float) -> float:
    """First frame of the grid `[B]` at which the curve `[B]` is at or above `threshold`.

    Infinity where it never is, NaN where the curve is empty or there is no threshold (NaN).
    """
    if math.isnan(threshold) or not np.isfinite(curve).any():
        return math.nan
    above = np.flatnonzero(curve >= threshold)
    return float(grid[above[0]]) if len(above) else math.inf


def threshold_interval(
    grid: np.ndarray, stack: np.ndarray, threshold: float
) -> tuple[float, float, float]:
    """Where the mean over seeds of curves `[S, B]` reaches a threshold, with a 95 % interval.

    The ends are where the upper and the lower end of `mean_band` reach it. Frames as of
    `steps_to_threshold`, so the upper end may be infinite; the ends are NaN where nowhere two seeds
    are present.
    """
    low, high = mean_band(stack)
    mean, _ = seed_mean(stack)
    first, value, last = (steps_to_threshold(grid, x, threshold) for x in (high, mean, low))
    return value, first, last


def normalised_score(
    value: np.ndarray | float, random: np.ndarray | float, baseline: np.ndarray | float
) -> np.ndarray:
    """(value - random) / (baseline - random): 0 is a random policy, 1 the finished baseline.

    Shapes broadcast. NaN where the baseline does not beat the random policy: such a level has no
    scale and is to be named and left out.
    """
    value, random, baseline = (np.asarray(x, np.float64) for x in (value, random, baseline))
    gain = baseline - random
    return (value - random) / np.where(gain > 0, gain, np.nan)
