import math

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from scipy import stats

from dreamerv2.analysis import curves

values_lists = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60)


@st.composite
def runs(draw):
    """(steps, values, end) of a run."""
    values = np.array(draw(values_lists))
    gaps = draw(st.lists(st.integers(0, 50), min_size=len(values), max_size=len(values)))
    steps = np.cumsum(gaps)
    return steps, values, int(steps[-1]) + draw(st.integers(0, 100))


@st.composite
def seed_curves(draw):
    """`[S, B]` with gaps."""
    seeds, points = draw(st.integers(1, 6)), draw(st.integers(1, 8))
    entry = st.one_of(st.floats(-1e6, 1e6), st.just(math.nan))
    rows = draw(st.lists(entry, min_size=seeds * points, max_size=seeds * points))
    return np.array(rows).reshape(seeds, points)


def test_grid_ends_at_the_end():
    assert curves.frame_grid(100, 4).tolist() == [25, 50, 75, 100]
    for end, bins in [(0, 5), (10, 0)]:
        with pytest.raises(ValueError, match='above 0'):
            curves.frame_grid(end, bins)


@hypothesis.given(runs(), st.integers(1, 12), st.integers(1, curves.LINE - 1))
def test_small_windows_against_a_plain_loop(run, bins, window):
    steps, values, end = run
    grid = curves.frame_grid(max(end, 1) * 1.3, bins)
    curve = curves.on_grid(steps, values, grid, end=end, window=window)
    before = -math.inf
    for point, frame in zip(curve, grid, strict=True):
        past = [v for s, v in zip(steps, values, strict=True) if s <= frame]
        recent = [v for s, v in zip(steps, values, strict=True) if before < s <= frame]
        chosen = recent if len(recent) >= window else past[-window:]
        if frame > end or not past:
            assert math.isnan(point)
        else:
            assert point == pytest.approx(np.mean(chosen), abs=1e-6)
            assert values.min() - 1e-6 <= point <= values.max() + 1e-6
        before = frame


@hypothesis.given(runs(), st.integers(1, 12), st.integers(curves.LINE, 30))
def test_large_windows_against_lines_fitted_one_by_one(run, bins, window):
    steps, values, end = run
    grid = curves.frame_grid(max(end, 1) * 1.3, bins)
    curve = curves.on_grid(steps, values, grid, end=end, window=window)
    width = grid[0]
    for point, frame in zip(curve, grid, strict=True):
        if frame > end or steps[0] > frame:
            assert math.isnan(point)
            continue
        away = sorted(abs(step - frame) for step in steps)
        reach = min(away[:window][-1], frame / 3)
        reach = max(reach, away[: curves.LINE][-1], width / 2, width - (end - frame))
        # Whether what lies just at the edge belongs to it is a matter of rounding.
        hypothesis.assume(not any(0 < abs(x - reach) < 1e-6 * frame for x in away))
        near = np.abs(steps - frame) <= reach
        x, y = steps[near], values[near]
        expected = y.mean()
        if len(x) >= curves.LINE and np.ptp(x):
            at = min(frame, x[-1] + np.ptp(x) / (len(x) - 1))
            expected = np.polynomial.Polynomial.fit(x, y, 1)(at)
        if min(values) >= 0 and max(values) <= 1:
            expected = min(max(expected, 0), 1)
        assert point == pytest.approx(expected, rel=1e-6, abs=1e-3)


@pytest.mark.parametrize('episodes', [10, 25, 50, 400])
@pytest.mark.parametrize(
    'rise',
    [lambda t: t, lambda t: 1 - np.exp(-3 * t), lambda t: 0.3 + 0.7 * t**1.5],
    ids=['straight', 'saturating', 'accelerating'],
)
def test_a_rising_curve_is_not_shown_late(rise, episodes):
    total, rng = 64_000, np.random.default_rng(0)
    found = []
    for _ in range(300):
        # As many episodes of all lengths, the last of which is cut off by the end of the run.
        steps = np.cumsum(rng.exponential(size=episodes + 1) + 0.2)
        steps = np.round(steps[:-1] / steps[-1] * total)
        values = 1000 * rise(steps / total) + rng.normal(scale=200, size=episodes)
        grid = curves.frame_grid(total, 50)
        found.append(curves.on_grid(steps, values, grid, end=total, window=20)[[24, 49]])
    means = np.mean(found, 0)
    np.testing.assert_allclose(means, [1000 * rise(0.5), 1000 * rise(1.0)], rtol=0.045)


def test_shares_stay_shares():
    steps = np.arange(1, 31)
    values = np.where(steps > 22, 1.0, 0.0)
    curve = curves.on_grid(steps, values, curves.frame_grid(30, 10), end=30, window=20)
    assert curve.min() == 0 and curve.max() == 1
    above = curves.on_grid(steps, 2 * values, curves.frame_grid(30, 10), end=30, window=20)
    assert above.max() > 2


@hypothesis.given(runs(), st.integers(1, 12), st.integers(1, 30))
def test_a_point_depends_on_the_one_before_it_alone(run, bins, window):
    steps, values, end = run
    grid = curves.frame_grid(max(end, 1), bins)
    curve = curves.on_grid(steps, values, grid, end=end, window=window)
    # The first bin also takes what lies at frame 0, as everything up to its edge.
    for i, point in enumerate(curve[1:]):
        got = curves.on_grid(steps, values, grid[i : i + 2], end=end, window=window)[1]
        np.testing.assert_allclose(got, point, atol=1e-6)


def test_a_run_that_ended_early_is_never_extrapolated():
    grid = curves.frame_grid(100, 10)
    curve = curves.on_grid(np.array([10, 20, 42]), np.array([1.0, 2.0, 3.0]), grid, end=45)
    np.testing.assert_array_equal(curve[:4], [1, 2, 2, 2])
    assert np.isnan(curve[4:]).all()


@hypothesis.given(seed_curves())
def test_seed_mean_counts_who_is_there(stack):
    mean, count = curves.seed_mean(stack)
    for column, m, n in zip(stack.T, mean, count, strict=True):
        present = column[np.isfinite(column)]
        assert n == len(present)
        if n:
            assert m == pytest.approx(present.mean(), abs=1e-6)
        else:
            assert math.isnan(m)


@hypothesis.given(seed_curves())
def test_band_is_the_t_interval_of_the_runs_that_are_there(stack):
    low, high = curves.mean_band(stack)
    for column, a, b in zip(stack.T, low, high, strict=True):
        present = column[np.isfinite(column)]
        if len(present) < 2:
            assert math.isnan(a) and math.isnan(b)
        elif np.ptp(present) > 1e-6:
            interval = stats.ttest_1samp(present, 0).confidence_interval()
            assert (a, b) == pytest.approx((interval.low, interval.high), rel=1e-6, abs=1e-6)


@pytest.mark.parametrize('seeds', [2, 3, 5, 10])
def test_band_covers_the_true_mean_as_often_as_it_says(seeds):
    low, high = curves.mean_band(np.random.default_rng(0).normal(size=(seeds, 5000)))
    assert 0.94 < np.mean((low < 0) & (high > 0)) < 0.96


def test_band_of_equal_curves_has_no_width():
    low, high = curves.mean_band(np.full((5, 3), 2.5))
    np.testing.assert_array_equal([low, high], np.full((2, 3), 2.5))


@pytest.mark.parametrize('share', [1.0, 0.5, 0.1])
def test_a_value_is_that_of_its_frame_and_not_of_an_earlier_one(share):
    # A run that rises in a straight line: at any frame, whatever came later.
    steps = np.arange(100, 64_001, 100)
    value = curves.value_by(steps, steps / 64, share * 64_000, share * 12_800, end=64_000)
    assert value == pytest.approx(share * 1000)
    few = curves.value_by(steps[::10], steps[::10] / 64, share * 64_000, 1.0, end=64_000)
    assert few == pytest.approx(share * 1000)


@hypothesis.given(runs(), st.floats(0, 1), st.floats(0, 1))
def test_a_value_is_a_line_through_the_last_ones(run, share, width):
    steps, values, end = run
    frame = share * end
    value = curves.value_by(steps, values, frame, width * frame, end=end)
    past = np.flatnonzero(steps <= frame)
    if not len(past):
        assert math.isnan(value)
        return
    near = [i for i in past if steps[i] > frame - width * frame]
    chosen = near if len(near) >= curves.LINE else past[-curves.LINE :]
    x, y = steps[chosen].astype(float), values[chosen]
    if len(chosen) < curves.LINE or np.ptp(x) == 0:
        expected = y.mean()
    else:
        at = min(frame, x[-1] + np.ptp(x) / (len(x) - 1))
        expected = np.polynomial.Polynomial.fit(x, y, 1)(at)
    if min(values) >= 0 and max(values) <= 1:
        expected = min(max(expected, 0), 1)
    assert value == pytest.approx(expected, rel=1e-6, abs=1e-6 * (1 + np.abs(values).max()))
    assert math.isnan(curves.value_by(steps, values, end + 1, 1, end=end))


def test_jump_start_is_the_mean_of_the_first_episodes():
    assert curves.jump_start(np.arange(100.0)) == pytest.approx(9.5)
    assert curves.jump_start(np.arange(100.0), episodes=3) == pytest.approx(1.0)
    assert math.isnan(curves.jump_start(np.arange(19.0)))


def test_area_of_a_straight_line():
    grid = np.array([1.0, 2.0, 4.0])
    assert curves.area_under(grid, grid, 4) == pytest.approx((16 - 1) / 2)
    assert curves.area_under(grid, grid, 3) == pytest.approx((9 - 1) / 2)
    assert curves.area_under(grid, grid, 1) == pytest.approx(0)
    assert math.isnan(curves.area_under(grid, grid, 5))
    assert math.isnan(curves.area_under(grid, grid, 0.5))
    assert math.isnan(curves.area_under(grid, np.array([1.0, math.nan, 4.0]), 4))
    assert math.isnan(curves.area_under(grid, np.full(3, math.nan), 4))


@hypothesis.given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=20), st.floats(0, 1))
def test_area_lies_between_the_extremes(heights, share):
    grid = curves.frame_grid(10, len(heights))
    upto = grid[0] + share * (grid[-1] - grid[0])
    area = curves.area_under(grid, np.array(heights), upto)
    width = upto - grid[0]
    assert min(heights) * width - 1e-6 <= area <= max(heights) * width + 1e-6


def test_areas_start_where_all_curves_have_begun():
    grid = np.array([1.0, 2.0, 3.0, 4.0])
    stack = np.array(
        [
            [5.0, 1.0, 1.0, 1.0],
            [math.nan, 2.0, 2.0, 2.0],
            [math.nan, math.nan, 9.0, math.nan],
        ]
    )
    np.testing.assert_array_equal(curves.areas(grid, stack, 4), [2.0, 4.0, math.nan])


def test_steps_to_threshold():
    grid = np.array([1.0, 2.0, 3.0, 4.0])
    curve = np.array([math.nan, 1.0, 5.0, 2.0])
    assert curves.steps_to_threshold(grid, curve, 2) == 3
    assert curves.steps_to_threshold(grid, curve, 1) == 2
    assert curves.steps_to_threshold(grid, curve, 6) == math.inf
    assert math.isnan(curves.steps_to_threshold(grid, np.full(4, math.nan), 2))


def test_threshold_interval_is_where_the_limits_of_the_mean_cross():
    grid = np.arange(1.0, 101.0)
    slow, fast = grid - 5, grid + 5
    # Half the interval of two seeds 10 apart: 12.706 * 7.071 / sqrt(2) = 63.5.
    found = curves.threshold_interval(grid, np.stack([slow, fast]), 70)
    assert found == (70, 7, math.inf)
    value, low, high = curves.threshold_interval(grid, np.stack([grid] * 3 + [slow, fast]), 50)
    half = 2.7764 * np.sqrt(50 / 4 / 5)
    assert (value, low, high) == (50, math.ceil(50 - half), math.ceil(50 + half))
    value, low, high = curves.threshold_interval(grid, grid[None], 50)
    assert value == 50 and math.isnan(low) and math.isnan(high)
    assert curves.threshold_interval(grid, np.stack([slow, slow]), 500) == (math.inf,) * 3
    assert all(np.isnan(curves.threshold_interval(grid, np.full((2, 100), np.nan), 1)))


@hypothesis.given(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3), st.floats(0.1, 1e3))
def test_normalised_score_is_linear_with_two_fixed_points(value, random, gain):
    baseline = random + gain
    assert curves.normalised_score(random, random, baseline) == pytest.approx(0)
    assert curves.normalised_score(baseline, random, baseline) == pytest.approx(1)
    score = curves.normalised_score(value, random, baseline)
    assert random + score * (baseline - random) == pytest.approx(value, abs=1e-6)


def test_a_baseline_that_does_not_beat_random_has_no_scale():
    scores = curves.normalised_score(np.array([5.0, 5.0, 5.0]), 2.0, np.array([1.0, 2.0, 3.0]))
    np.testing.assert_array_equal(scores, [math.nan, math.nan, 3.0])
