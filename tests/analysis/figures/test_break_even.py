import math

import numpy as np
import pytest

from dreamerv2.analysis import figures, study
from dreamerv2.analysis.figures import Smooth, break_even
from tests.analysis import synthetic
from tests.analysis.synthetic import T, to

PLAN = {
    'sets': {'two': ['3-1', '3-2']},
    'finetune': ['3-1', '3-2'],
    'transfer': ['1-1', '1-2'],
    'seeds': [0, 1],
}
NAN = math.nan
BINS = 30  # Of fine-tuning a point every 2 T / 30, so that 1.5 T is between two of them.
TUNED, FREE, PAID = list(break_even.CASES)[1:]


@pytest.fixture
def ahead(tmp_path):
    """Costs from which on agents with these returns are ahead, by case; and the page.

    Baselines rise in a straight line to 1000 at T. Agents of seed 0 and 1 return 10 less and more.
    """

    def ahead(plan=PLAN, *, without=(), **returns):
        def of(stage, name, level, seed):
            if stage == 'baseline':
                return to(1000)
            found = None if (stage, level, seed) in without else returns.get(stage)
            return found and (lambda frame: found(frame) + 20 * (seed - 0.5))

        root = synthetic.write_runs(tmp_path, plan, of, noise=0.0)
        (page,) = figures.draw(study.read_study(root), ['break_even'], Smooth(BINS))
        ends = {
            row['case']: (row['ahead_from'], row['interval_ahead_from'])
            for row in page.rows
            if row['metric'] == 'train_return'
        }
        return ends, page

    return ahead


@pytest.mark.parametrize(
    ('values', 'expected'),
    [
        ([-1, 1, -1, 1, 2], 40),
        ([-1, 0, 0, 0, 1], 50),
        ([NAN, 1, 1, 1, 1], 20),
        ([-1, NAN, NAN, 1, 1], 40),
        ([1, NAN, 1, NAN, 1], 10),
        ([1, 1, 1, 1, 0], math.inf),
        ([NAN, NAN, NAN, NAN, -1], math.inf),
        ([1, 1, 1, 1, NAN], NAN),
        ([NAN] * 5, NAN),
        ([], NAN),
    ],
)
def test_the_first_cost_from_which_on_it_stays_above(values, expected):
    cost = 10.0 * np.arange(1, len(values) + 1)
    found = break_even.stays_above(cost, np.array(values, np.float64))
    np.testing.assert_equal(found, float(expected))


def test_a_known_crossing_of_the_mean_and_of_the_interval(ahead):
    """Fine-tuned agents rise to 3000 at T: after a cost of c they are at 1500 (c - T) / T.

    The baselines are at 500 c / T, so that the lead is 1000 c / T - 1500. Half of its interval is
    10 times the t of one degree of freedom, 12.706: the agents alone vary.
    """
    ends, page = ahead(pretrain=to(0), finetune=to(3000))
    points = 2 * T * np.arange(1, BINS + 1) / BINS
    assert ends[TUNED] == pytest.approx(
        (points[points > 1.5 * T][0], points[points > 1.62706 * T][0])
    )
    last = page.rows[2 * 2 * BINS - BINS - 1]
    assert (last['case'], last['cost']) == (TUNED, 2 * T)
    assert (last['difference'], last['agents'], last['baselines']) == pytest.approx(
        (500, 1500, 1000)
    )
    assert (last['low'], last['high']) == pytest.approx((500 - 127.06, 500 + 127.06), abs=0.01)
    assert (last['n'], last['baselines_n']) == (2, 2)


def test_always_and_never_ahead(ahead):
    ends, page = ahead(pretrain=lambda frame: 5000.0, finetune=lambda frame: 100.0)
    (one, *_), tuned = ends['one agent'], ends[TUNED]
    # From the first episode after prefill on, far before T.
    assert ends['one agent'] == (one, one) and one < T / 3
    assert tuned == ('never', 'never')
    words = [x.get_text() for ax in page.figure.axes for x in ax.texts]
    assert 'ahead from: never; interval above 0 from: never; 3-1 3-2, n = 2' in words


def test_transfer_without_and_with_the_cost_of_pre_training(ahead):
    """It leads by 600 at the same frames; baselines that cost T more have gained 500 by then."""
    ends, page = ahead(pretrain=to(0), transfer=lambda frame: 600 + 1000 * frame / T)
    last = {x['case']: x for x in page.rows if x['cost'] == 2 * T and x['metric'] == 'train_return'}
    assert last[FREE]['difference'] == pytest.approx(600)
    assert last[PAID]['difference'] == pytest.approx(100)
    assert ends[FREE][0] < T / 3 and T < ends[PAID][0] < 1.3 * T
    # Half of the interval is 127, more than the lead.
    assert ends[PAID][1] == 'never'
    assert not any(np.isfinite(x['difference']) and x['cost'] <= T for x in page.rows
                   if x['case'] == PAID)  # fmt: skip


def test_a_single_seed_has_no_interval(ahead):
    plan = {**PLAN, 'seeds': [0]}
    ends, page = ahead(plan, pretrain=to(0), finetune=lambda frame: 5000.0)
    first, sure = ends[TUNED]
    assert T < first < 1.4 * T and math.isnan(sure)
    assert all(math.isnan(row['low']) and row['n'] <= 1 for row in page.rows)
    words = [x.get_text() for ax in page.figure.axes for x in ax.texts]
    assert any('interval above 0 from: ?;' in x for x in words)


def test_missing_runs_count_where_they_are(ahead):
    """A level without any run leaves no mean over levels; a seed less leaves one run."""
    both = ('finetune', '3-2', 0), ('finetune', '3-2', 1)
    ends, page = ahead(without=both, pretrain=to(0), finetune=lambda frame: 5000.0)
    assert math.isnan(ends[TUNED][0])
    tuned = [x for x in page.rows if x['case'] == TUNED and x['cost'] > T]
    assert all(x['n'] == 0 and math.isnan(x['difference']) for x in tuned)
    assert 'finetune two 3-2 seed 1' in map(str, page.missing)


def test_a_run_that_has_not_got_to_the_end_leaves_the_answer_open(tmp_path):
    def of(stage, name, level, seed):
        return to(0) if stage == 'pretrain' else to(1000) if stage == 'baseline' else None

    root = synthetic.write_runs(tmp_path, PLAN, of, noise=0.0)
    (page,) = figures.draw(study.read_study(root), ['break_even'], Smooth(BINS))
    ends = {row['case']: row['ahead_from'] for row in page.rows}
    assert list(ends) == ['one agent', TUNED] and ends['one agent'] == 'never'
    assert math.isnan(ends[TUNED])  # nothing is known after T


def test_it_is_the_difference_of_the_curves_of_figure_7(root):
    data, smooth = study.read_study(root), Smooth(bins=20)
    (seventh,) = figures.draw(data, ['figure7'], smooth)
    pages = {page.name: page for page in figures.draw(data, ['break_even'], smooth)}
    curves = {
        (row['stage'], row['frames']): row['mean']
        for row in seventh.rows
        if (row['set'], row['metric']) == ('two', 'train_return')
    }
    rows = [
        row
        for row in pages['break_even_two'].rows
        if (row['case'], row['metric']) == (TUNED, 'train_return')
    ]
    assert [row['cost'] for row in rows] == [2 * T * i / 20 for i in range(1, 21)]
    for row in rows:
        agents = curves['pretrain' if row['cost'] <= T else 'finetune', round(row['cost'])]
        baselines = curves['baseline', round(row['cost'])]
        np.testing.assert_allclose((row['agents'], row['baselines']), (agents, baselines))
    # What can be farmed is in the mean of progress alone.
    named = {(x['case'], x['metric']): x['levels'] for x in pages['break_even_three'].rows}
    assert named['one agent', 'train_return'] == '3-1 3-2 (not 4-4)'
    assert named['one agent', 'train_progress'] == '3-1 3-2 4-4'


def test_nothing_at_the_same_cost_is_said(tmp_path, logdir):
    lines = [{'step': 4, 'train_return': 1.0}]
    logdir(tmp_path / 'b', task='mario_3-1', lines=lines)
    assert list(figures.draw(study.read_study(tmp_path), ['break_even'])) == [
        'break_even: not drawn, no pre-training run'
    ]
    place = {'stage': 'pretrain', 'set': 'two', 'seed': 0}
    logdir(tmp_path / 'p', task='mario_3-1+3-2', lines=lines, study=place)
    assert list(figures.draw(study.read_study(tmp_path), ['break_even'])) == [
        'break_even_two: not drawn, no agents of two have cost as much as baselines'
    ]
