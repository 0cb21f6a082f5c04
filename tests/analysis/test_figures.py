"""Figures and answers from a small synthetic study, drawn as a user would and looked into."""

import csv
import dataclasses
import json
import math
import pathlib
import re
import shutil
import xml.etree.ElementTree

import matplotlib.image
import numpy as np
import pytest

from dreamerv2.analysis import answers, commands, figures, plotting, study
from tests.analysis.synthetic import PLAN, T

REPOSITORY = pathlib.Path(__file__).parents[2]


@pytest.fixture(scope='module')
def data(root):
    return study.read_study(root)


def page(name, data, bins, page=None):
    """The only page of a figure, or the one of that name."""
    drawn = list(figures.draw(data, [name], figures.Smooth(bins)))
    (found,) = [one for one in drawn if page in (None, one.name)]
    return found


def solid(ax, label):
    (line,) = [line for line in ax.lines if line.get_label() == label]
    return line


def labels(figure):
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


def marks(ax):
    """Frames of the vertical lines."""
    return [
        line.get_xdata()[0]
        for line in ax.lines
        if len(set(line.get_xdata())) == 1
        and line.get_ydata()[0] == 0
        and line.get_ydata()[-1] == 1
    ]


def test_question_1_is_asked_at_equal_cost(data):
    answer = answers.by_question(data)['pretrain', 'two']
    for comparison in answer.levels[:2]:
        assert comparison.agent == pytest.approx(800, rel=0.02)
        assert comparison.baseline == pytest.approx(500, rel=0.03)
        assert comparison.verdict == 'too few seeds' and comparison.n == 2
    assert [x.together.measure for x in answer.headlines] == ['return', 'progress', 'completion']
    assert answer.headline().together.name == 'all levels, normalised'
    assert answer.headline().left_out == {}
    three = answers.by_question(data)['pretrain', 'three']
    assert list(three.headline().left_out) == ['4-4']
    assert 'can be farmed' in three.headline().left_out['4-4']
    assert three.headline('progress').levels == ('3-1', '3-2', '4-4')


def test_question_2_shifts_by_the_share_of_pre_training(data):
    answer = answers.by_question(data)['finetune', 'three']
    assert [comparison.name for comparison in answer.levels[:2]] == ['3-1', '3-2']
    for comparison in answer.levels[:2]:
        assert comparison.agent == pytest.approx(1200, rel=0.03)
        assert comparison.baseline == pytest.approx(1000, rel=0.03)
    assert '2k frames each' in answer.question


def test_question_3_compares_areas_from_the_same_frame(data):
    answer = answers.by_question(data)['transfer', 'two']
    # Straight to 1000 at T / 2 and at T: areas of 3/4 and 1/2 of it, but for the smoothing.
    for comparison in answer.levels[:2]:
        assert comparison.value == pytest.approx(1.5, rel=0.06)
        assert (comparison.measure, comparison.kind) == ('return', 'ratio')
    assert answer.level('1-1', 'completion').kind == 'difference'  # nobody completes it
    for one in answers.transfer_measures(data, 'two'):
        # Episodes 5 to 24 of 120.
        assert one.jump_start.baseline == pytest.approx(1000 * 14.5 / 120, rel=0.1)
        assert one.jump_start.agent == pytest.approx(2000 * 14.5 / 120, rel=0.1)
        assert one.agent.frames < one.baseline.frames < T
        assert one.agent.low <= one.agent.frames <= one.agent.high and one.agent.n == 2
        assert re.fullmatch(r'1\.\d+k \[1\.\d+k, 1\.\d+k\], n = 2', str(one.agent))
    alone = dataclasses.replace(one.agent, low=math.nan, high=math.nan, n=1)
    assert str(alone).endswith('k, n = 1')
    assert str(dataclasses.replace(one.agent, high=math.inf)).endswith(', never], n = 2')


def test_every_question_for_every_set(data):
    assert [answer.question[:15] for answer in answers.by_question(data).values()] == [
        'Question 1, two',
        'Question 1, thr',
        'Question 2, two',
        'Question 2, thr',
        'Question 3, two',
        'Question 3, thr',
    ]


def test_figure_3_marks_equal_cost_and_cuts_off_what_is_farmed(data):
    drawn = page('figure3', data, 10, 'figure3_three')
    axes = np.array(drawn.figure.axes).reshape(3, 3)
    for ax in axes.flat:
        assert marks(ax) == pytest.approx([T / 3])
    assert [ax.get_ylabel() for ax in axes[0]] == ['return', 'progress', 'completed']
    returns = axes[:, 0]
    assert returns[0].get_title('left') == '3-1   n = 2'
    assert returns[2].get_title('left') == '4-4   n = 2, cut off above'
    assert returns[2].get_ylim()[1] == max(ax.get_ylim()[1] for ax in returns[:2])
    assert labels(drawn.figure) == ['one agent on three', 'one agent per level', 'random policy']
    farmed = [
        row['mean']
        for row in drawn.rows
        if row['level'] == '4-4' and row['metric'] == 'train_return' and row['stage'] == 'baseline'
    ]
    assert max(farmed) > 8000
    assert drawn.missing == []
    # 120 episodes of three levels in turn.
    line = solid(returns[0], 'one agent on three')
    assert line.get_ydata()[-1] == pytest.approx(800, rel=0.03)


def test_figure_3_leaves_out_what_is_zero_everywhere(tmp_path, logdir, episodes):
    for seed, completed in enumerate((0.0, 0.0, 1.0)):
        lines = [
            {
                'step': 40 * i,
                **{
                    f'{name}/{level}': value
                    for level in ('3-1', '3-2')
                    for name, value in (
                        ('train_return', 5.0 * i),
                        ('train_progress', 0.1),
                        ('train_completed', completed),
                    )
                },
            }
            for i in range(1, 20)
        ]
        logdir(
            tmp_path / str(completed) / str(seed),
            task='mario_3-1+3-2',
            study={'stage': 'pretrain', 'set': 'two', 'seed': seed},
            lines=lines,
        )
    nobody = page('figure3', study.read_study(tmp_path / '0.0'), 5)
    assert [ax.get_ylabel() for ax in nobody.figure.axes[:2]] == ['return', 'progress']
    assert len(nobody.figure.axes) == 4
    assert nobody.figure._suptitle.get_text() == 'left out, zero in all runs: completed'
    somebody = page('figure3', study.read_study(tmp_path / '1.0'), 5)
    assert len(somebody.figure.axes) == 6 and somebody.figure._suptitle is None


def test_figure_4_has_a_line_a_run_kind(data):
    drawn = page('figure4', data, 10)
    (ax,) = drawn.figure.axes
    texts = [text.get_text() for text in ax.get_legend().get_texts()]
    assert texts == [
        'baseline 3-1, n = 2',
        'baseline 3-2, n = 2',
        'baseline 4-4, n = 2',
        'one agent on two, n = 2',
        'one agent on three, n = 2',
    ]
    last = {row['line']: row['mean'] for row in drawn.rows if row['frames'] == T}
    assert set(last.values()) == {10.5}


def test_figure_5_draws_the_baseline_again_at_equal_cost(data):
    drawn = page('figure5', data, 10)
    axes = np.array(drawn.figure.axes).reshape(2, 2)
    assert axes[1, 1].get_title('left') == '3-2 from three   n = 2'
    for ax in axes.flat:
        assert marks(ax) == [T / 2]
        earlier = solid(ax, 'baseline, T/M earlier (equal cost)')
        plain = solid(ax, 'baseline')
        np.testing.assert_allclose(earlier.get_xdata(), plain.get_xdata()[5:] - T / 2)
        np.testing.assert_allclose(earlier.get_ydata(), plain.get_ydata()[5:])
    assert 'baseline, T/M earlier' in {row['stage'] for row in drawn.rows}


def test_figure_6_tells_the_measures_of_transfer(data):
    drawn = page('figure6', data, 10)
    axes = np.array(drawn.figure.axes).reshape(2, 2)
    assert axes[0, 1].get_title('left') == '1-2 from two   n = 2'
    words = [text.get_text() for ax in axes.flat for text in ax.texts]
    assert len(words) == 4
    for word in words:
        assert word.startswith('area ×1.') and '\njump-start +' in word
        assert re.search(r'\nframes to return \d+: 1\.\S+ \[.*\], n = 2\n against 2\.', word), word


def test_figure_7_puts_everything_at_its_cost(data):
    drawn = page('figure7', data, 20)
    axes = np.array(drawn.figure.axes).reshape(2, 3)
    titles = [ax.get_title('left') for ax in axes[0]]
    assert titles == [
        'two: mean over 3-1 3-2',
        'three: mean over 3-1 3-2',
        'three: mean over 3-1 3-2 (not 4-4)',
    ]
    assert axes[1, 2].get_title('left') == 'three: mean over 3-1 3-2 4-4'
    ax = axes[0, 0]
    assert solid(ax, '2 baselines, n = 2').get_xdata()[-1] == 2 * T
    assert solid(ax, 'one agent on two, n = 2').get_xdata()[-1] == T
    tuned = solid(ax, 'then 2 fine-tuned agents, n = 2')
    assert (tuned.get_xdata()[0], tuned.get_xdata()[-1]) == (T + 2 * T / 20, 2 * T)
    assert np.nanmax(tuned.get_ydata()) == pytest.approx(1200, rel=0.02)
    assert marks(ax) == [T]
    assert solid(axes[0, 2], '3 baselines, n = 2').get_xdata()[0] == 3 * T / 20
    assert ax.get_xlabel() == 'frames (k) of all agents together'
    # Where T (M - 1) / M is none of the points of T.
    drawn = page('figure7', data, 9)
    ends = {row['stage']: row['frames'] for row in drawn.rows if row['set'] == 'two'}
    assert ends == {'baseline': 2 * T, 'pretrain': T, 'finetune': 2 * T}
    assert drawn.figure.axes[2].get_xlim()[1] >= 3 * T


def test_pictures_have_nothing_cut_off(data, tmp_path):
    drawn = page('figure6', data, 10)
    path, svg, _ = plotting.save_figure(drawn.figure, tmp_path / 'figure6', drawn.rows)
    picture = matplotlib.image.imread(path)[..., :3]
    for edge in (picture[0], picture[-1], picture[:, 0], picture[:, -1]):
        assert edge.min() == 1.0
    assert xml.etree.ElementTree.parse(svg).getroot().tag.endswith('svg')


def test_command_writes_everything_and_names_what_is_missing(root, tmp_path, capsys):
    broken = tmp_path / 'study'
    shutil.copytree(root, broken)
    shutil.rmtree(broken / 'f/two/3-1/0')
    (broken / 't/two/1-1/1/done.json').unlink()
    lines = (broken / 't/two/1-1/1/metrics.jsonl').read_text().splitlines()
    (broken / 't/two/1-1/1/metrics.jsonl').write_text('\n'.join(lines[:60]))
    out = tmp_path / 'out'
    arguments = [str(broken), '--out', str(out), '--bins', '10', '--figures', '5', '6']
    assert commands.figures_main(arguments) == 0
    printed = capsys.readouterr().out
    assert f'{out}/figure5.png, without 1 run: finetune two 3-1 seed 0\n' in printed
    assert f'{out}/figure6.png\n' in printed
    assert '30 runs belong to the study: 28 finished, 1 unfinished, 1 missing' in printed
    state = (out / 'runs.txt').read_text().splitlines()
    assert state[1:3] == [
        'unfinished: transfer two 1-1 seed 1, 50 % of T',
        'missing: finetune two 3-1 seed 0',
    ]
    assert {path.name for path in out.iterdir()} == {
        'figure5.png',
        'figure5.svg',
        'figure5.csv',
        'figure6.png',
        'figure6.svg',
        'figure6.csv',
        'scores.csv',
        'answers.txt',
        'runs.txt',
    }
    with (out / 'scores.csv').open() as file:
        rows = list(csv.DictReader(file))
    assert {row['verdict'] for row in rows} == {'too few seeds', ''}
    assert any(row['question'].startswith('Question 3, two: frames to') for row in rows)
    assert {row['kind'] for row in rows} == {'difference', 'ratio', ''}
    assert {row['measure'] for row in rows} == {'return', 'progress', 'completion', ''}
    assert sum('; without 3-1' in row['question'] for row in rows) == 12
    text = (out / 'answers.txt').read_text()
    assert text.count('too few seeds') == 18 + 3 * (2 + 3 + 2 + 2 + 2 + 2)
    assert 'better' not in text and 'worse' not in text and 'nan' not in text
    assert text.count('Question') == 6 and text.strip() in printed


def test_what_cannot_be_drawn_is_said(tmp_path, logdir):
    logdir(tmp_path / 'b', task='mario_3-1', lines=[{'step': 4, 'train_return': 1.0}])
    data = study.read_study(tmp_path)
    assert list(figures.draw(data)) == [
        'figure2: not drawn, no run has recorded episodes',
        'figure3: not drawn, no pre-training run',
        'figure4: not drawn, no run has an image loss',
        'figure5: not drawn, no fine-tuning run',
        'figure6: not drawn, no transfer run',
        'figure7: not drawn, no pre-training run',
        'figure8: not drawn, no run has reconstructions.npz',
        'break_even: not drawn, no pre-training run',
        'by_level: not drawn, no fine-tuning run or transfer run',
        'forgetting: not drawn, no fine-tuning run or transfer run',
        'model_errors: not drawn, no run was evaluated with sprite errors',
        'transfer_matrix: not drawn, no run but baselines',
    ]
    assert answers.by_question(data) == {}
    assert answers.score_rows([], data) == []


def test_figures_with_hardly_any_runs_are_drawn(tmp_path, logdir):
    """A study of which only its first runs have begun, without an episode after prefill."""
    (tmp_path / 'plan.json').write_text(json.dumps(PLAN))
    places = [
        {'stage': 'pretrain', 'set': 'two', 'seed': 0},
        {'stage': 'finetune', 'set': 'two', 'level': '3-1', 'seed': 0},
        {'stage': 'transfer', 'set': 'two', 'level': '1-1', 'seed': 0},
    ]
    for i, place in enumerate(places):
        lines = [{'step': 4, 'image_loss': 1.0}]
        logdir(tmp_path / str(i), task='mario_x', study=place, lines=lines, done=False)
    data = study.read_study(tmp_path)
    drawn = list(figures.draw(data, smooth=figures.Smooth(bins=5)))
    assert [one if isinstance(one, str) else one.name for one in drawn] == [
        'figure2: not drawn, no run has recorded episodes',
        'figure3_two',
        'figure3_three: not drawn, no pre-training run on three',
        'figure4',
        'figure5',
        'figure6',
        'figure7',
        'figure8: not drawn, no run has reconstructions.npz',
        'break_even_two: not drawn, no agents of two have cost as much as baselines',
        'by_level_finetune: not drawn, no fine-tuning run and baseline at equal cost',
        'by_level_transfer: not drawn, no transfer run and baseline at equal cost',
        'forgetting: fine-tuning two, transfer two not drawn, not evaluated on the set before and '
        'after',
        'model_errors: not drawn, no run was evaluated with sprite errors',
        'transfer_matrix',
    ]
    for one in drawn:
        if not isinstance(one, str):
            plotting.save_figure(one.figure, tmp_path / one.name, one.rows)
    sentences = [x for answer in answers.by_question(data).values() for x in answer.sentences]
    assert any('no answer yet, 3-1 3-2, no pre-training run has reached 4k' in x for x in sentences)
    assert not any('nan' in x for x in sentences)


def test_figures_are_found_by_their_names_and_have_captions():
    assert figures.names() == (
        *(f'figure{number}' for number in range(2, 9)),
        'break_even',
        'by_level',
        'forgetting',
        'model_errors',
        'transfer_matrix',
    )
    assert all(figures.find(name).CAPTION.endswith('.') for name in figures.names())
    assert commands.figure_name('3') == commands.figure_name('figure3') == 'figure3'


@pytest.mark.parametrize(
    ('arguments', 'words'),
    [
        (['ROOT/none'], 'no such folder'),
        (['ROOT', '--figures', '9'], '--figures'),
        (['ROOT', '--bins', '0'], '--bins'),
        (['ROOT', '--out', 'ROOT/plan.json/x'], 'cannot write there'),
        ([], 'ROOT'),
    ],
)
def test_mistakes_are_one_line_and_exit_code_2(root, capsys, arguments, words):
    assert commands.figures_main([word.replace('ROOT', str(root)) for word in arguments]) == 2
    error = capsys.readouterr().err
    assert error.count('\n') == 1 and words in error


def test_threshold_is_not_told_where_the_baseline_does_not_learn(tmp_path, logdir, episodes):
    for stage in ('baseline', 'transfer'):
        place = {'stage': stage, 'set': 'e4', 'level': '1-1', 'seed': 0}
        logdir(tmp_path / stage, lines=episodes({'1-1': lambda f: 10.0}, end=T), study=place)
    (one,) = answers.transfer_measures(study.read_study(tmp_path), 'e4')
    assert math.isnan(one.threshold) and math.isnan(one.agent.frames) and str(one.agent) == '?'
    rows = answers.score_rows([], study.read_study(tmp_path))
    assert not any('nan' in row['question'] for row in rows)
    data = study.read_study(tmp_path)
    data = dataclasses.replace(data, plan=dataclasses.replace(data.plan, sets={'e4': ('3-1',)}))
    (ax,) = page('figure6', data, 4).figure.axes
    words = ' '.join(x.get_text() for x in ax.texts)
    assert 'no threshold: the baselines do not beat the random policy at T' in words
    assert 'nan' not in words and '?' not in words
