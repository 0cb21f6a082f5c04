import math

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from dreamerv2.analysis import scores
from dreamerv2.analysis.scores import Answer

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
LOW, HIGH = (
    mean + np.random.default_rng(seed).normal(size=(5, 4)) for seed, mean in ((0, 10), (1, 20))
)


@hypothesis.given(matrices)
@hypothesis.settings(max_examples=30)
def test_the_value_is_that_of_the_means(pair):
    agents, baselines = map(np.array, pair)
    expected = np.mean(agents.mean(0) - baselines.mean(0))
    found = scores.difference('x', agents, baselines)
    assert found.value == pytest.approx(expected, abs=1e-6)
    assert found.n == min(len(agents), len(baselines))
    assert found.agent == pytest.approx(agents.mean())
    found = scores.ratio('x', agents, baselines)
    if found.kind == 'ratio':
        assert found.value == pytest.approx(agents.mean() / baselines.mean())
        assert found.low <= found.value <= found.high


@hypothesis.given(matrices)
@hypothesis.settings(max_examples=20)
def test_an_agent_compared_with_itself_is_neither_better_nor_worse(pair):
    agents = np.array(pair[0])
    for compare in (scores.difference, scores.ratio):
        assert not compare('x', agents, agents.copy()).decided


def test_clear_differences_are_told():
    for compare in (scores.difference, scores.ratio):
        assert compare('x', HIGH, LOW).verdict == 'better'
        assert compare('x', LOW, HIGH).verdict == 'worse'
    found = scores.difference('3-1', HIGH, LOW)
    assert 9 < found.low < found.value < found.high < 11.1
    found = scores.ratio('3-1', HIGH, LOW)
    assert found.kind == 'ratio' and 1.8 < found.low < found.value < found.high < 2.3


def test_missing_runs_lower_n_and_bend_nothing():
    agents = np.array([[1.0, 5.0], [3.0, math.nan], [math.nan, math.nan]])
    found = scores.difference('x', agents, np.zeros((4, 2)))
    assert (found.value, found.n, found.runs) == (3.5, 1, 'n = 1 and 4')


@pytest.mark.parametrize('agents', [np.zeros((0, 1)), np.full((2, 1), math.nan)])
def test_nothing_to_compare(agents):
    found = scores.difference('3-1', agents, np.ones((3, 1)), reason='there is no baseline')
    assert found.n == 0 and math.isnan(found.value) and found.verdict == 'no answer yet'
    assert found.sentence == '3-1: no answer yet, there is no baseline'
    assert 'nan' not in found.sentence


@pytest.mark.parametrize(
    ('runs', 'start', 'end'),
    [
        (5, 'return, 3-1: better, difference +10 [', ', n = 5)'),
        (4, 'return, 3-1: better; indication only, difference +10.1 [', ', n = 4 and 5)'),
        (2, 'return, 3-1: too few seeds, difference +10 [', ', n = 2 and 5)'),
        (1, 'return, 3-1: too few seeds, difference +9', 'from a single run (19 against 9.8, '),
    ],
)
def test_sentences(runs, start, end):
    agents = 20 + np.array([[-1.0], [1], [0], [0.5], [-0.5]])
    found = scores.difference('3-1', agents[:runs], agents - 10, measure='return').sentence
    assert found.startswith(start)
    assert end.partition(' (')[0] in found


def test_shares_differ_by_no_more_than_one():
    agents, baselines = np.array([[1.0], [1], [0.7]]), np.array([[0.0], [0.0], [0.3]])
    found = scores.difference('x', agents, baselines, measure='completion')
    assert found.high == 1 and found.low > -1
    assert scores.difference('x', agents, baselines).high > 1


def test_without_spread_there_is_no_interval():
    found = scores.difference('x', np.zeros((5, 1)), np.zeros((5, 1)))
    assert found.numbers == '+0, no interval as runs do not vary'
    assert found.verdict == 'not distinguishable at this n'


def test_levels_without_a_sure_scale_are_left_out_and_named():
    levels = ['good', 'weak', 'noisy', 'missing', 'strange', 'lone', '4-4', '8-4']
    nan = math.nan
    deviations = np.array([-30.0, 30, 15, -15, 0])[:, None]
    finished = np.array([[500.0, 204.3, 600, nan, 500, 900, 9000, 9000]] * 5) + deviations
    finished[:, 2] += 8 * deviations[:, 0]
    finished[1:, 5] = nan
    random = np.array([200.0, 200, 200, 200, nan, 200, 100, 100])
    lead, left_out = scores.scales(levels, finished, random)
    assert lead[0] == 300 and set(levels) - set(left_out) == {'good', 'lone'}
    assert left_out['weak'] == (
        'its baseline does not clearly beat random: 204 at T against 200, a lead below 5 '
        'standard errors of 10.6'
    )
    assert 'standard errors' in left_out['noisy']
    assert left_out['missing'] == 'no baseline has reached T'
    assert left_out['strange'] == 'what a random policy returns is not known'
    assert left_out['4-4'] == left_out['8-4'] and 'farmed' in left_out['4-4']
    _, alone = scores.scales(['lone'], finished[:1, :1], random[:1])
    assert 'a single baseline does not tell' in alone['lone']
    assert scores.grouped(left_out)[-1].startswith('4-4 8-4, its return can be farmed')


def test_a_headline_is_shown_without_each_single_level():
    agents = HIGH.copy()
    agents[:, :3] = LOW[::-1, :3]
    found = scores.headline('progress', list('abcd'), agents, LOW, {})
    assert found.together.name == 'all levels' and found.levels == tuple('abcd')
    assert [one.name for one in found.without] == list('abcd')
    expected = [np.delete(agents - LOW, i, 1).mean() for i in range(4)]
    assert [one.value for one in found.without] == pytest.approx(expected)
    assert found.together.decided == 'better' and not found.without[3].decided
    assert found.single_levels[1] == 'the verdict does not hold without d'
    short = scores.headline('return', list('abcd'), agents, LOW, {'a': 'why', 'd': 'why'})
    assert short.together.name == '2 of 4 levels, normalised' and short.levels == ('b', 'c')
    assert short.sentences[-1] == 'left out of return over all levels: a d, why'
    single = scores.headline('return', ['a'], HIGH[:, :1], LOW[:, :1], {})
    assert single.without == () and single.single_levels == []
    none = scores.headline('return', ['a', 'b'], HIGH, LOW, {'a': 'why', 'b': 'so'})
    assert none.together.sentence == (
        'return, 0 of 2 levels, normalised: no answer yet, a, why; b, so'
    )


def answer(agents, baselines, measures=('return',)):
    headlines = [scores.headline(x, list('abcd'), agents, baselines, {}) for x in measures]
    single = [
        scores.difference(level, agents[:, i : i + 1], baselines[:, i : i + 1], measure=x)
        for x in measures
        for i, level in enumerate('abcd')
    ]
    return Answer('Q', tuple(headlines), tuple(single))


def test_all_headlines_are_one_family_and_all_levels_of_an_answer_another():
    slight = LOW + np.array([1.1, 1.0, 1.2, 0.9, 1.3])[:, None]
    before = answer(slight, LOW, ('return', 'progress', 'completion'))
    many = dict.fromkeys([(x, y) for x in 'abc' for y in 'de'], before)
    after = scores.in_families({**many, ('a', 'none'): answer(slight[:, :0], LOW[:, :0][:0], ())})
    one = after['a', 'd'].headline('progress').together
    assert one.family == 18 and one.adjusted >= one.contrast.p
    # All are the same comparison, so that none is less than 18 times as likely by chance.
    assert one.adjusted == pytest.approx(min(18 * one.contrast.p, 1))
    assert before.headline('progress').together.adjusted == one.contrast.p
    level = after['a', 'd'].level('c', 'completion')
    assert level.family == 24 and level.adjusted >= level.contrast.p
    assert after['a', 'd'].headline().without[0].family == 18


def test_every_headline_says_what_it_could_have_seen():
    after = scores.in_families({(x, ''): answer(HIGH, LOW) for x in 'abcdef'})['a', '']
    lines = after.sentences
    assert any(
        line.startswith('a difference from ')
        and line.endswith(
            'is found with 80 % power after correction for 6 headlines; one standard deviation '
            'between runs takes 28 seeds a side'
        )
        for line in lines
    )
    assert 'equivalent' not in ' '.join(lines)
    two = scores.in_families({(x, ''): answer(HIGH[:2], LOW[:2]) for x in 'abcdef'})['a', '']
    assert two.headline().power.startswith('n = 2 is too few for any verdict; with 80 % power')
    same = answer(np.ones((5, 4)), np.ones((5, 4))).headline()
    assert same.power.startswith('runs do not vary')


def test_a_return_that_can_be_farmed_is_marked_wherever_it_stands():
    found = scores.difference('4-4', HIGH[:, :1], LOW[:, :1], measure='return')
    assert found.sentence.startswith('return, 4-4 (can be farmed): better')
    found = scores.difference('4-4', HIGH[:, :1], LOW[:, :1], measure='progress')
    assert found.label == '4-4'


def test_equivalence_is_said_with_its_margin():
    rng = np.random.default_rng(0)
    sides = rng.normal(0, 0.1, (2, 100, 4))
    found = scores.headline('progress', list('abcd'), *sides, {})
    assert found.equivalence == ['equivalent within ±0.1 (two one-sided tests, corrected likewise)']
    assert found.together.verdict == 'not distinguishable at this n'
