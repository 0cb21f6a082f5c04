import math

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from dreamerv2.analysis import scores
from dreamerv2.analysis.scores import Comparison

matrices = st.integers(1, 3).flatmap(
    lambda levels: st.tuples(
        *(
            st.lists(
                st.lists(st.floats(1, 1e4), min_size=levels, max_size=levels),
                min_size=1,
                max_size=6,
            )
            for _ in range(2)
        )
    )
)


@hypothesis.given(matrices)
@hypothesis.settings(max_examples=30)
def test_the_value_is_that_of_the_means(pair):
    agents, baselines = map(np.array, pair)
    expected = np.mean(agents.mean(0) - baselines.mean(0))
    found = scores.difference('x', agents, baselines)
    assert found.value == pytest.approx(expected, abs=1e-6)
    assert found.n == min(len(agents), len(baselines))
    expected = np.exp(np.mean(np.log(agents.mean(0) / baselines.mean(0))))
    found = scores.ratio('x', agents, baselines)
    assert found.value == pytest.approx(expected)
    assert found.agent == pytest.approx(agents.mean())
    if found.n >= 2:
        assert found.low <= found.high
    else:
        assert math.isnan(found.low) and math.isnan(found.high)


@hypothesis.given(matrices)
@hypothesis.settings(max_examples=20)
def test_an_agent_compared_with_itself_is_neither_better_nor_worse(pair):
    agents = np.array(pair[0])
    for compare in (scores.difference, scores.ratio):
        found = compare('x', agents, agents.copy())
        assert found.verdict == 'not distinguishable at this n'


def test_clear_differences_are_told():
    rng = np.random.default_rng(0)
    low, high = rng.normal(10, 1, (5, 4)), rng.normal(20, 1, (5, 4))
    for compare in (scores.difference, scores.ratio):
        assert compare('x', high, low).verdict == 'better'
        assert compare('x', low, high).verdict == 'worse'
    found = scores.difference('3-1', high, low)
    assert 9 < found.low < found.value < found.high < 11
    assert scores.difference('3-1', high, low) == found


def test_interval_of_equal_agents_covers_nothing_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    verdicts = [
        scores.difference('x', rng.normal(size=(8, 1)), rng.normal(size=(8, 1))).verdict
        for _ in range(200)
    ]
    assert 0.86 < np.mean([v == 'not distinguishable at this n' for v in verdicts]) < 0.98


def test_levels_of_one_pre_training_run_are_drawn_together():
    # Each seed is good on one level and as bad on the other: together there is no spread at all.
    agents = np.array([[1.0, -1.0], [-2.0, 2.0], [5.0, -5.0]])
    baselines = np.zeros((3, 2))
    found = scores.difference('x', agents, baselines)
    assert (found.value, found.low, found.high) == pytest.approx((0, 0, 0))


def test_missing_runs_lower_n_and_bend_nothing():
    agents = np.array([[1.0, 5.0], [3.0, math.nan], [math.nan, math.nan]])
    found = scores.difference('x', agents, np.zeros((4, 2)))
    assert (found.value, found.n) == (3.5, 1)
    assert math.isnan(found.low)


@pytest.mark.parametrize('agents', [np.zeros((0, 1)), np.full((2, 1), math.nan)])
def test_nothing_to_compare(agents):
    found = scores.difference('3-1', agents, np.ones((3, 1)))
    assert found.n == 0 and math.isnan(found.value)
    assert found.sentence == '3-1: no answer yet (n = 0)'


def test_a_ratio_of_what_is_not_above_zero_says_nothing():
    assert math.isnan(scores.ratio('x', np.array([[-1.0]]), np.array([[1.0]])).value)
    assert math.isnan(scores.ratio('x', np.array([[1.0]]), np.array([[0.0]])).value)


@pytest.mark.parametrize(
    ('comparison', 'sentence'),
    [
        (
            Comparison('3-1', 'difference', 172.3, 85, 260, 812, 640, 5),
            '3-1: better, difference +172 [85, 260] (812 against 640, n = 5)',
        ),
        (
            Comparison('3-1', 'difference', -172.3, -260, -85, 640, 812, 4),
            '3-1: worse, difference -172 [-260, -85] (640 against 812, n = 4); indication only',
        ),
        (
            Comparison('3-1', 'ratio', 1.234, 0.9, 1.5, 2, 1.62, 5),
            '3-1: not distinguishable at this n, ratio ×1.23 [0.9, 1.5] (2 against 1.62, n = 5)',
        ),
        (
            Comparison('3-1', 'ratio', 1.2, math.nan, math.nan, 2, 1.6, 1),
            '3-1: not distinguishable at this n, ratio ×1.2, no interval from a single run '
            '(2 against 1.6, n = 1); indication only',
        ),
    ],
)
def test_sentences(comparison, sentence):
    assert comparison.sentence == sentence


def test_scores_leave_out_what_has_no_scale_and_say_why():
    levels = ['good', 'hopeless', 'missing', 'strange', 'running']
    nan = math.nan
    agents = np.array([[30.0, 5, nan, 1, 1]] * 5)
    baselines = np.array([[20.0, 5, 1, 1, 1]] * 5)
    finished = np.array([[50.0, 5, 50, 50, nan]] * 5)
    answer = scores.compare_scores(
        'Q',
        levels,
        agents,
        baselines,
        finished=finished,
        random=np.array([10.0, 5, 10, nan, 10]),
    )
    assert [comparison.name for comparison in answer.levels] == levels
    assert answer.levels[0].value == 10
    assert answer.together.name == '1 of 5 levels, normalised score'
    assert answer.together.value == pytest.approx(10 / 40)
    assert answer.left_out == (
        'missing, no run on both sides has got there',
        'hopeless, its baseline (5) does not beat random (5)',
        'strange, what a random policy returns is not known',
        'running, no baseline has reached T',
    )
    assert answer.sentences[0] == 'Q'
    assert 'left out of all levels: running, no baseline has reached T' in answer.sentences


def test_areas_leave_out_levels_without_a_ratio():
    agents = np.array([[2.0, -1.0, math.nan]] * 3)
    answer = scores.compare_areas('Q', ['a', 'b', 'c'], agents, np.ones((3, 3)))
    assert answer.together.value == pytest.approx(2)
    assert answer.left_out == ('b, a mean is not above 0', 'c, no run on both sides has got there')
    everything = scores.compare_areas('Q', ['a'], agents[:, :1], np.ones((3, 1)))
    assert everything.together.name == 'all levels'


def test_no_levels_at_all():
    empty = np.zeros((0, 0))
    answer = scores.compare_scores('Q', [], empty, empty, finished=empty, random=np.zeros(0))
    assert math.isnan(answer.together.value) and answer.together.n == 0
