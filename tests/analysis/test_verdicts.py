"""Verdicts and intervals hold their level where the truth is known, and effects are seen."""

import math

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from scipy import stats

from dreamerv2.analysis import verdicts
from tests.analysis import simulated

SIZES = (3, 5, 10)


def column(values):
    return np.array(values, float).reshape(-1, 1)


@pytest.mark.parametrize('shape', simulated.SHAPES)
@pytest.mark.parametrize('kind', ['normal', 'skewed'])
def test_verdicts_without_an_effect_are_rare(kind, shape):
    rates = [simulated.false_verdicts(simulated.compare(kind, n, shape)) for n in SIZES]
    assert max(rates) <= 0.06, rates


@pytest.mark.parametrize('shape', simulated.SHAPES)
def test_intervals_of_normal_runs_cover_what_they_say(shape):
    rates = [simulated.coverage(simulated.compare('normal', n, shape)) for n in SIZES]
    assert min(rates) >= 0.93 and max(rates) <= 0.97, rates


@pytest.mark.parametrize('shape', ['1 level', 'parents'])
def test_intervals_of_equally_skewed_runs_cover_at_least_what_they_say(shape):
    rates = [simulated.coverage(simulated.compare('skewed', n, shape)) for n in SIZES]
    assert min(rates) >= 0.93, rates


@pytest.mark.parametrize('kind', ['normal', 'skewed'])
@pytest.mark.parametrize('n', SIZES)
def test_studies_without_an_effect_rarely_have_a_verdict(kind, n):
    """The six questions and sets of the thesis in three measures, and the levels of a question."""
    headlines, levels = simulated.studies(kind, n, 800)
    assert headlines <= 6 and max(levels) <= 6, (headlines, levels)


@pytest.mark.parametrize('seed', range(8))
def test_one_column_is_welchs_test_where_ranks_agree(seed):
    rng = np.random.default_rng(seed)
    agents, baselines = rng.normal(1.5, 1, 6), rng.exponential(2, 9)
    found = verdicts.contrast(column(agents), column(baselines))
    expected = stats.ttest_ind(agents, baselines, equal_var=False)
    ranks = stats.rankdata([*agents, *baselines])
    ranked = stats.ttest_ind(ranks[:6], ranks[6:], equal_var=False).pvalue
    p = max(expected.pvalue, ranked * min(ranked / 0.05, 1) ** 0.5)
    assert found.p == pytest.approx(p)
    interval = expected.confidence_interval()
    low, high = found.difference - found.half_width, found.difference + found.half_width
    assert (low, high) == pytest.approx((interval.low, interval.high))


def test_three_runs_a_side_can_be_told_apart_in_a_family():
    found = verdicts.contrast(column([100, 101, 102]), column([0, 1, 2]))
    assert found.p * 18 < 0.05
    assert verdicts.word(found.difference, found.p, found.n) == 'better; indication only'


def test_a_row_counts_with_its_mean_over_levels():
    rng = np.random.default_rng(1)
    agents, baselines = rng.normal(size=(5, 4)), rng.normal(size=(7, 4))
    found = verdicts.contrast(agents, baselines)
    rows = stats.ttest_ind(agents.mean(1), baselines.mean(1), equal_var=False)
    assert found.difference == pytest.approx(agents.mean() - baselines.mean())
    assert found.error == pytest.approx(found.difference / rows.statistic)
    assert found.freedom == pytest.approx(rows.df)


def test_levels_of_one_run_are_one_observation():
    # The same number on ten levels is no more than the number itself.
    rng = np.random.default_rng(2)
    agents, baselines = rng.normal(1, 1, (5, 1)), rng.normal(0, 1, (5, 1))
    once = verdicts.contrast(agents, baselines)
    often = verdicts.contrast(np.tile(agents, 10), np.tile(baselines, 10))
    assert often.p == pytest.approx(once.p) and often.error == pytest.approx(once.error)


def test_missing_scores_leave_the_others_in():
    rng = np.random.default_rng(3)
    agents, baselines = rng.normal(size=(2000, 5, 4)), rng.normal(size=(2000, 5, 4))
    baselines[:, 1:, 3] = np.nan  # 16 of 20: one level has a single baseline
    found = verdicts.contrast(agents, baselines)
    assert found.n[0] == 4 and np.isfinite(found.half_width).all()
    expected = agents.mean((1, 2)) - np.nanmean(baselines, 1).mean(1)
    np.testing.assert_allclose(found.difference, expected)
    assert simulated.false_verdicts(found) <= 0.06
    assert simulated.coverage(found) >= 0.93
    agents[:, :3, 1] = np.nan
    found = verdicts.contrast(agents, baselines)
    assert simulated.false_verdicts(found) <= 0.06 and simulated.coverage(found) >= 0.93


@pytest.mark.parametrize(
    ('agents', 'baselines', 'p', 'word'),
    [
        ([1] * 5, [0] * 5, 2 / 252, 'better'),
        ([0] * 5, [1] * 5, 2 / 252, 'worse'),
        ([1] * 4, [0] * 4, 2 / 70, 'better; indication only'),
        ([1] * 3, [0] * 3, 0.1, 'not distinguishable at this n; indication only'),
        ([0.1] * 5, [0.1] * 5, 1, 'not distinguishable at this n'),
        ([0.1, 0.1 + 1e-16, 0.1, 0.1, 0.1], [0.3] * 5, 2 / 252, 'worse'),
        ([1] * 2, [0] * 2, 1 / 3, 'too few seeds'),
    ],
)
def test_sides_without_spread_are_judged_by_their_number(agents, baselines, p, word):
    found = verdicts.contrast(column(agents), column(baselines))
    assert found.p == pytest.approx(p)
    assert math.isnan(found.half_width)
    assert verdicts.word(found.difference, found.p, found.n) == word


def test_spread_on_one_side_is_enough_for_a_test():
    found = verdicts.contrast(column([1, 1, 1, 1, 0]), column([0] * 5))
    assert 0.008 < found.p < 0.05 and found.half_width > 0


def test_a_single_run_has_no_interval_and_two_no_verdict():
    one = verdicts.contrast(column([5]), column([1, 2, 3]))
    assert math.isnan(one.p) and math.isnan(one.half_width) and one.difference == 3
    two = verdicts.contrast(column([500.0, 501]), column([1.0, 2]))
    assert two.half_width > 0
    assert verdicts.word(two.difference, two.p, two.n) == 'too few seeds'
    nothing = verdicts.contrast(np.full((3, 2), np.nan), np.ones((3, 2)))
    assert math.isnan(nothing.difference) and math.isnan(nothing.p) and nothing.n == 0
    for empty in (np.zeros((0, 0)), np.zeros((0, 3))):
        assert math.isnan(verdicts.contrast(empty, empty).p)


@hypothesis.given(st.lists(st.floats(0, 1), max_size=12))
def test_holm_against_its_definition(p):
    adjusted = verdicts.holm(np.array([*p, math.nan]))
    assert math.isnan(adjusted[-1])
    order = sorted(range(len(p)), key=lambda i: p[i])
    for rank, i in enumerate(order):
        steps = [min((len(p) - k) * p[order[k]], 1) for k in range(rank + 1)]
        assert adjusted[i] == pytest.approx(max(steps))


def test_ratios_leave_out_one_where_differences_leave_out_zero():
    rng = np.random.default_rng(4)
    for _ in range(200):
        sides = rng.normal(rng.uniform(8, 12), 1, (5, 1)), rng.normal(10, 1, (6, 1))
        one = verdicts.contrast(*sides)
        value, low, high = verdicts.ratio(one)
        assert low < value < high
        assert (low > 1 or high < 1) == bool(abs(one.difference) > one.half_width)
    unclear = verdicts.contrast(column([1, 2, 3]), column([-3, 1, 4]))
    value, low, high = verdicts.ratio(unclear)
    assert value == pytest.approx(3) and math.isnan(low) and math.isnan(high)
    assert math.isnan(verdicts.ratio(verdicts.contrast(column([1, 2]), column([-1, -2])))[0])


@pytest.mark.parametrize(('n', 'family'), [(3, 1), (5, 1), (5, 18), (10, 18)])
def test_the_detectable_difference_is_found_in_four_of_five_cases(n, family):
    rng = np.random.default_rng(n)
    agents, baselines = rng.normal(size=(2, 3000, n, 1))
    one = verdicts.contrast(agents, baselines)
    parts = [
        verdicts.Contrast(one.agents, one.baselines, 0, error, freedom, 1)
        for error, freedom in zip(one.error[:200], one.freedom[:200], strict=True)
    ]
    full = verdicts.Side(0.0, 1.0, n - 1, n)
    least = [
        verdicts.detectable(verdicts.Contrast(full, full, 0, x.error, x.freedom, 1), family)
        for x in parts
    ]
    found = verdicts.contrast(agents + np.median(least), baselines)
    assert 0.7 < np.mean(found.p * family <= verdicts.ALPHA) < 0.86


def test_seeds_for_one_two_and_a_half_and_two_deviations():
    assert [verdicts.seeds_needed(effect, 1) for effect in (1, 1.5, 2)] == [18, 9, 6]
    assert [verdicts.seeds_needed(1, family) for family in (6, 18)] == [28, 34]
    rng = np.random.default_rng(5)
    n = verdicts.seeds_needed(1.5, 18)
    agents, baselines = rng.normal(size=(2, 3000, n, 1))
    power = np.mean(verdicts.contrast(agents + 1.5, baselines).p <= verdicts.ALPHA / 18)
    assert 0.75 < power < 0.87


def test_levels_that_only_one_side_learns_count():
    # 3-3 and 3-4 are learned by pre-trained agents alone, the other two levels by all.
    rng = np.random.default_rng(7)
    agents, baselines = rng.normal(0.6, 0.05, (2, 2000, 5, 4))
    baselines[:, :, 2:] = rng.normal(0.15, 0.02, (2000, 5, 2))
    found = verdicts.contrast(agents, baselines)
    assert np.mean(found.p * 18 <= verdicts.ALPHA) > 0.9
    one = verdicts.contrast(agents[..., :3], baselines[..., :3])
    assert np.mean(one.p <= verdicts.ALPHA) > 0.9


def test_equivalence_is_shown_and_not_assumed():
    rng = np.random.default_rng(6)
    few, many = rng.normal(0, 0.1, (2, 5, 1)), rng.normal(0, 0.1, (2, 200, 1))
    assert not verdicts.equivalent(verdicts.contrast(*few), 1)
    assert verdicts.equivalent(verdicts.contrast(*many), 18)
    apart = verdicts.contrast(many[0] + 0.1, many[1])
    assert not verdicts.equivalent(apart, 1)
    assert not verdicts.equivalent(verdicts.contrast(column([1] * 5), column([1] * 5)), 1)
    # At the margin itself it is claimed as often as a test of 5 % may.
    edge = verdicts.contrast(
        *rng.normal(0, 0.1, (2, 2000, 5, 1)) + np.array([0.1, 0])[:, None, None, None]
    )
    t = stats.t.sf((0.1 - np.abs(edge.difference)) / edge.error, edge.freedom)
    assert np.mean(t <= 0.05) <= 0.06
