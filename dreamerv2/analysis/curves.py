"""Learning curves as numbers: pure functions from arrays to arrays, nothing read and nothing drawn.

Shapes: `n` values of one run, `B` points of a common grid of frames, `S` seeds. NaN in a curve
means that the run has nothing to say at this point: before its first value, or past its end.
"""

import math

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
    steps: np.ndarray,
    values: np.ndarray,
    grid: np.ndarray,
    *,
    end: float,
    window: int = 1,
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
        end: frame up to which the run is known; points past it stay NaN, nothing is extrapolated.
        window: least number of values in a mean, or number of values around a point.

    Returns:
        float64 `[B]`, NaN before the first value and past `end`.
    """
    steps, values = np.asarray(steps, np.float64), np.asarray(values, np.float64)
    lasts = np.searchsorted(steps, grid, side='right')
    before = np.concatenate([[0.0], np.asarray(grid, np.float64)[:-1]])
    curve = np.full(len(grid), np.nan)
    for i, last in enumerate(lasts):
        if last == 0 or grid[i] > end:
            continue
        if window < LINE:
            first = min(np.searchsorted(steps, before[i], side='right') * (i > 0), last - window)
            curve[i] = values[max(first, 0) : last].mean()
        else:
            curve[i] = _local_line(steps, values, grid[i], grid[i] - before[i], end, window)
    if len(values) and values.min() >= 0 and values.max() <= 1:
        curve = np.clip(curve, 0.0, 1.0)
    return curve


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

    Args:
        steps: frames of the values, ascending `[n]`.
        values: `[n]`.
        frame: where to read it off.
        width: length of the window in frames.
        end: frame up to which the run is known.
    """
    first, last = np.searchsorted(steps, [frame - width, frame], side='right')
    if last == 0 or frame > end:
        return math.nan
    near = slice(max(min(first, last - LINE), 0), last)
    value = line_at(
        np.asarray(steps[near], np.float64), np.asarray(values[near], np.float64), frame
    )
    shares = np.min(values) >= 0 and np.max(values) <= 1
    return min(max(value, 0.0), 1.0) if shares else value


def value_at(
    steps: np.ndarray,
    values: np.ndarray,
    frame: float,
    *,
    end: float,
    width: float = 0.0,
    window: int = 1,
) -> float:
    """One run's value at one frame, as on the curve of `on_grid` for a grid of spacing `width`.

    NaN where the run has not got there or has no value yet.
    """
    grid = np.array([frame - width, frame], np.float64)
    return float(on_grid(steps, values, grid, end=end, window=window)[1])


def seed_mean(curves: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean over the seeds present at each point, and their number: `[S, B] -> [B], int [B]`."""
    curves = np.asarray(curves, np.float64)
    present = np.isfinite(curves)
    count = present.sum(0)
    total = np.where(present, curves, 0.0).sum(0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan), count


def mean_band(curves: np.ndarray, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """Confidence band of the mean over seeds at each point `[S, B] -> low [B], high [B]`.

    Student's t on the runs present at that point, so that the band is as wide as few runs make
    it. Where fewer than two are present there is none (NaN).
    """
    mean, count = seed_mean(curves)
    squares = np.nansum((np.asarray(curves, np.float64) - mean) ** 2, 0)
    freedom = np.where(count > 1, count - 1, np.nan)
    half = stats.t.ppf((1 + level) / 2, freedom) * np.sqrt(squares / freedom / count)
    return mean - half, mean + half


def jump_start(values: np.ndarray, episodes: int = 20) -> float:
    """Mean of the first `episodes` values `[n]` after prefill; NaN while there are fewer."""
    values = np.asarray(values, np.float64)
    return float(values[:episodes].mean()) if len(values) >= episodes else math.nan


def area_under(grid: np.ndarray, curve: np.ndarray, upto: float) -> float:
    """Area under a curve `[B]` over frames `[B]`, from its first point to `upto`, by trapezoids.

    Between two points the curve is taken as straight, at `upto` too. NaN where the curve has no
    point at or before `upto`, does not reach it, or has a gap before it.
    """
    grid = np.asarray(grid, np.float64)
    curve = np.asarray(curve, np.float64)
    known = np.flatnonzero(np.isfinite(curve))
    if not len(known) or grid[known[0]] > upto or grid[known[-1]] < upto:
        return math.nan
    first = known[0]
    inside = grid[first:] < upto
    frames = np.append(grid[first:][inside], upto)
    finite = np.isfinite(curve)
    heights = np.append(curve[first:][inside], np.interp(upto, grid[finite], curve[finite]))
    return float(np.sum(np.diff(frames) * (heights[1:] + heights[:-1]) / 2))


def areas(grid: np.ndarray, curves: np.ndarray, upto: float) -> np.ndarray:
    """Area up to `upto` of each of several curves from the first frame all of them have.

    Curves that start later than others, because their first episode ended later, would otherwise
    be compared over different spans. Curves that do not reach `upto` give NaN and do not
    move the start.

    Args:
        grid: frames `[B]`.
        curves: `[S, B]`.
        upto: frame where the area ends.

    Returns:
        float64 `[S]`.
    """
    curves = np.asarray(curves, np.float64)
    reach = [np.isfinite(curve[grid >= upto]).any() for curve in curves]
    starts = [np.flatnonzero(np.isfinite(curve))[0] for curve in curves[reach]]
    common = curves.copy()
    common[:, : max(starts, default=0)] = np.nan
    return np.array(
        [area_under(grid, c, upto) if ok else math.nan for c, ok in zip(common, reach, strict=True)]
    )


def steps_to_threshold(grid: np.ndarray, curve: np.ndarray, threshold: float) -> float:
    """First frame of the grid `[B]` at which the curve `[B]` is at or above `threshold`.

    Infinity where it never is, NaN where the curve is empty.
    """
    curve = np.asarray(curve, np.float64)
    if not np.isfinite(curve).any():
        return math.nan
    above = np.flatnonzero(np.nan_to_num(curve, nan=-math.inf) >= threshold)
    return float(grid[above[0]]) if len(above) else math.inf


def threshold_interval(
    grid: np.ndarray, stack: np.ndarray, threshold: float
) -> tuple[float, float, float]:
    """Where the mean over seeds of curves `[S, B]` reaches a threshold, with a 95 % interval.

    The ends are where the upper and the lower end of `mean_band` reach it. Frames as of
    `steps_to_threshold`, so the upper end may be infinite; the ends are NaN where nowhere two seeds
    are present.
    """
    mean, _ = seed_mean(stack)
    low, high = mean_band(stack)
    value, first, last = (steps_to_threshold(grid, curve, threshold) for curve in (mean, high, low))
    return value, first, last


def normalised_score(
    value: np.ndarray | float,
    random: np.ndarray | float,
    baseline: np.ndarray | float,
) -> np.ndarray:
    """(value - random) / (baseline - random): 0 is a random policy, 1 the finished baseline.

    Shapes broadcast. NaN where the baseline does not beat the random policy: such a level has no
    scale and is to be named and left out.
    """
    value, random, baseline = (np.asarray(x, np.float64) for x in (value, random, baseline))
    gain = baseline - random
    beaten = gain > 0
    return np.where(beaten, (value - random) / np.where(beaten, gain, 1.0), np.nan)
