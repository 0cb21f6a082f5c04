import json

import pytest

from dreamerv2.analysis import answers, figures, study
from dreamerv2.analysis.plotting import AGENT, BASELINE
from tests.analysis import synthetic

PLAN = {
    'sets': {'two': ['3-1', '4-4']},
    'finetune': ['3-1', '4-4'],
    'transfer': ['1-1', '1-2', '1-3'],
}
LEADS = {'1-1': -300, '1-2': 200, '1-3': 20, '3-1': 100, '4-4': 5000}


@pytest.fixture
def data(tmp_path):
    """A study with so many seeds, agents of which lead their baselines by `LEADS`."""

    def data(seeds, **drawn):
        def of(stage, name, level, seed):
            value = 1000 + 10 * seed + LEADS[level] * bool(name)
            return None if (stage, level, seed) in drawn.get('without', ()) else lambda _: value

        root = tmp_path / str(seeds)
        plan = {**PLAN, 'seeds': list(range(seeds))}
        return study.read_study(synthetic.write_runs(root, plan, of, noise=0.0))

    return data


def markers(ax):
    """(Level, value, marker, color, whether it is hollow), from the bottom to the top."""
    names = [label.get_text() for label in ax.get_yticklabels()]
    found = [line for line in ax.lines if line.get_marker() not in ('None', '')]
    return [
        (name, line.get_xdata()[0], line.get_marker(), line.get_color(),
         line.get_markerfacecolor() == 'white')
        for name, line in zip(names, found, strict=True)
    ]  # fmt: skip


def test_levels_from_worst_to_best_with_the_verdicts_of_the_answers(data):
    data = data(5)
    drawn = {page.name: page for page in figures.draw(data, ['by_level'])}
    page = drawn['by_level_transfer']
    returns = [row for row in page.rows if row['measure'] == 'return']
    assert [row['level'] for row in returns] == ['1-1', '1-3', '1-2']
    assert [row['difference'] for row in returns] == pytest.approx([-300, 20, 200])
    # Seeds 10 apart: a standard error of 10 on 8 degrees of freedom, t = 2.306.
    assert [row['high'] - row['difference'] for row in returns] == pytest.approx(
        [23.06] * 3, abs=0.01
    )
    answer = answers.by_question(data)['transfer', 'two']
    for row in page.rows:
        one = answer.level(row['level'], row['measure'])
        assert (row['verdict'], row['corrected_p']) == (one.verdict, one.adjusted)
    assert [row['verdict'] for row in returns] == [
        'worse',
        'not distinguishable at this n',
        'better',
    ]
    ax = page.figure.axes[0]
    assert [x[0] for x in markers(ax)] == ['1-1', '1-3', '1-2']
    assert [x[3] for x in markers(ax)] == [BASELINE, AGENT, AGENT]
    assert not any(x[4] for x in markers(ax))
    assert [x.get_text() for x in ax.texts] == ['n = 5, worse', 'n = 5', 'n = 5, better']


def test_what_can_be_farmed_does_not_set_the_axis(data):
    page, _ = figures.draw(data(3), ['by_level'])
    assert page.name == 'by_level_finetune'
    ax, progress = page.figure.axes[:2]
    assert [x[0] for x in markers(ax)] == ['3-1', '4-4 (can be farmed)']
    (_, value, *_), (_, edge, arrow, color, _) = markers(ax)
    left, right = ax.get_xlim()
    # No wider than twice the lead on 3-1.
    assert value == pytest.approx(100) and -left == right < 220
    assert (arrow, color) == ('>', AGENT) and value < edge < right
    assert [x[0] for x in markers(progress)] == ['3-1', '4-4']
    assert not any('indication' in x.get_text() for x in ax.texts)


def test_two_seeds_are_hollow_and_a_level_without_runs_is_left_out(data):
    gone = [('transfer', '1-3', seed) for seed in (0, 1)]
    _, page = figures.draw(data(2, without=gone), ['by_level'])
    ax = page.figure.axes[0]
    assert [(x[0], x[4]) for x in markers(ax)] == [('1-1', True), ('1-2', True)]
    assert {x.get_text() for x in ax.texts} == {'n = 2'}
    assert {row['verdict'] for row in page.rows} == {'too few seeds'}
    assert [str(x) for x in page.missing] == [f'transfer two 1-3 seed {i}' for i in (0, 1)]


def test_a_measure_that_is_zero_everywhere_is_left_out(data):
    _, page = figures.draw(data(2), ['by_level'])
    titles = [ax.get_title('left') for ax in page.figure.axes]
    assert titles == ['transfer two: return', 'transfer two: progress']  # nobody completes it


def test_one_of_several_settings_gives_no_verdict_of_its_own(data, tmp_path):
    """The report's verdicts are corrected for all settings together."""
    data(5)
    for path in (tmp_path / '5').rglob('study.json'):
        path.write_text(json.dumps({**json.loads(path.read_text()), 'setting': 'actor_ent=0.1'}))
    _, page = figures.draw(study.read_study(tmp_path / '5'), ['by_level'])
    assert {x.get_text() for x in page.figure.axes[0].texts} == {'n = 5'}
    assert 'verdict' not in page.rows[0] and page.rows[0]['n'] == 5


def test_nothing_to_compare_is_said(data, tmp_path, logdir):
    logdir(tmp_path / 'b', task='mario_3-1', lines=[{'step': 4, 'train_return': 1.0}])
    assert list(figures.draw(study.read_study(tmp_path), ['by_level'])) == [
        'by_level: not drawn, no fine-tuning run or transfer run'
    ]
    place = {'stage': 'transfer', 'set': 'two', 'level': '1-1', 'seed': 0}
    logdir(tmp_path / 't', task='mario_1-1', lines=[{'step': 4}], study=place)
    place = {'stage': 'pretrain', 'set': 'two', 'seed': 0}
    logdir(tmp_path / 'p', task='mario_3-1+3-2', lines=[{'step': 4}], study=place)
    assert list(figures.draw(study.read_study(tmp_path), ['by_level'])) == [
        'by_level_transfer: not drawn, no transfer run and baseline at equal cost'
    ]
