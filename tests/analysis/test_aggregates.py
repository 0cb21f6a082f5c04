import math
import warnings

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from dreamerv2.analysis import aggregates
from dreamerv2.analysis.aggregates import Estimate, Scaled


def pair(draw, low, high):
    """Scores of two sides on the same levels."""
    levels = draw(st.integers(1, 3))
    entry = st.integers(low, high)
    return [
        np.array(
            draw(st.lists(entry, min_size=runs * levels, max_size=runs * levels)), float
        ).reshape(runs, levels)
        for runs in (draw(st.integers(2, 4)), draw(st.integers(2, 4)))
    ]


@st.composite
def sides(draw):
    return pair(draw, -3, 3)


def test_interquartile_mean_of_known_scores():
    # 8 scores: the two lowest and the two highest do not count.
    scores = np.array([[0.0, 4.0], [1.0, 5.0], [2.0, 60.0], [3.0, -70.0]])
    assert aggregates.interquartile_mean(scores).value == (1 + 2 + 3 + 4) / 4
    # Of 5 a quarter is one score.
    five = np.array([[1.0], [2.0], [6.0], [100.0], [-100.0]])
    assert aggregates.interquartile_mean(five).value == 3
    # Of 3 there is none to cut off.
    assert aggregates.interquartile_mean(np.array([[1.0, 2.0, 9.0]])).value == 4


def test_interval_of_the_interquartile_mean():
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(10, 4))
    found = aggregates.interquartile_mean(scores)
    assert found.low < found.value < found.high
    assert 0.2 < found.high - found.low < 1.0
    assert found == aggregates.interquartile_mean(scores)
    assert found != aggregates.interquartile_mean(scores, seed=1)
    # Levels are strata: runs that agree on each leave nothing uncertain, however levels differ.
    same = aggregates.interquartile_mean(np.tile([[0.0, 1.0, 2.0, 3.0]], (5, 1)))
    assert (same.value, same.low, same.high) == (1.5, 1.5, 1.5)


def test_the_caller_keeps_his_random_state():
    np.random.seed(3)
    expected = np.random.random()
    np.random.seed(3)
    aggregates.interquartile_mean(np.arange(6.0).reshape(3, 2), samples=10)
    assert np.random.random() == expected


def test_improvement_of_separated_scores_is_certain():
    agents, baselines = np.full((3, 2), 5.0) + np.arange(3)[:, None], np.arange(8.0).reshape(4, 2)
    low = baselines - 10
    assert aggregates.improvement(agents, low) == Estimate(1.0, 1.0, 1.0)
    assert aggregates.improvement(low, agents) == Estimate(0.0, 0.0, 0.0)


def test_improvement_counts_pairs_level_by_level():
    agents = np.array([[1.0, 0.0], [3.0, 9.0]])
    baselines = np.array([[2.0, 0.0], [0.0, 0.0], [2.0, 0.0]])
    # First level: 1 beats one of three, 3 all; second: 0 ties with three, 9 beats all.
    expected = ((1 + 3) / 6 + (1.5 + 3) / 6) / 2
    found = aggregates.improvement(agents, baselines)
    assert found.value == pytest.approx(expected)
    assert found.low <= found.value <= found.high


@hypothesis.given(sides())
@hypothesis.settings(deadline=None)
def test_share_above_is_what_rliable_calls_probability_of_improvement(two):
    from rliable import metrics

    agents, baselines = two
    share = aggregates.share_above(agents, baselines)
    assert share == pytest.approx(metrics.probability_of_improvement(agents, baselines))
    assert share + aggregates.share_above(baselines, agents) == pytest.approx(1)


@hypothesis.given(st.lists(st.floats(-100, 100), min_size=1, max_size=30))
@hypothesis.settings(deadline=None)
def test_middle_mean_is_what_rliable_calls_interquartile_mean(values):
    from rliable import metrics

    scores = np.array(values).reshape(-1, 1)
    assert aggregates.middle_mean(scores) == pytest.approx(metrics.aggregate_iqm(scores), abs=1e-9)


def test_gaps_are_closed_level_by_level():
    nan = math.nan
    scores = np.array([[1.0, nan], [nan, 5.0], [3.0, 6.0], [4.0, nan]])
    np.testing.assert_array_equal(aggregates.complete(scores), [[1, 5], [3, 6]])
    assert aggregates.complete(np.array([[1.0, nan]])).shape == (0, 2)
    assert aggregates.complete(np.zeros((0, 3))).shape == (0, 3)
    assert aggregates.complete(np.zeros((2, 0))).shape == (0, 0)


def test_a_single_run_has_no_interval():
    found = aggregates.aggregate(Scaled(('a', 'b'), np.array([[0.5, 1.5]]), np.zeros((3, 2))))
    assert (found.agents.value, found.improvement.value) == (1, 1)
    assert math.isnan(found.agents.low) and math.isnan(found.improvement.high)
    assert (found.baselines.low, found.baselines.high) == (0, 0)
    assert (found.runs, found.n) == ((1, 3), 1)
    assert found.sentences == [
        'interquartile mean of normalised scores over 2 levels: '
        '1, no interval from a single run (n = 1) against 0 [0, 0] (n = 3)',
        'probability that a run is better than a baseline: 1, no interval from a single run, '
        'not distinguishable at this n; indication only',
    ]


def test_verdict_needs_five_seeds_to_be_more_than_an_indication():
    levels = ('a', 'b')
    rng = np.random.default_rng(0)
    low, high = rng.random((2, 5, 2)) + np.array([0.0, 2.0])[:, None, None]
    assert aggregates.aggregate(Scaled(levels, high, low)).sentences[1].endswith(', better')
    assert aggregates.aggregate(Scaled(levels, low, high)).verdict == 'worse'
    assert aggregates.aggregate(Scaled(levels, low, low)).verdict == 'not distinguishable at this n'
    few = aggregates.aggregate(Scaled(levels, high[:4], low))
    assert few.sentences[1].endswith('better; indication only')


def test_nothing_to_aggregate():
    for agents in (np.zeros((0, 2)), np.full((2, 2), math.nan)):
        found = aggregates.aggregate(Scaled(('a', 'b'), agents, np.zeros((3, 2))))
        assert found.sentences == ['interquartile mean over 2 levels: no answer yet']
    empty = aggregates.aggregate(Scaled((), np.zeros((2, 0)), np.zeros((2, 0)), ('a, why',)))
    assert math.isnan(empty.agents.value) and empty.left_out == ('a, why',)
    assert str(empty.agents) == 'none'


def test_warnings_stay_inside():
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        aggregates.aggregate(Scaled(('a',), np.zeros((2, 1)), np.zeros((2, 1))))
