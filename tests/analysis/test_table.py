import collections
import json
import math
import os
import pathlib
import time

import numpy as np
import pytest

from dreamerv2.analysis import answers, figures, study, table
from dreamerv2.analysis.report import introduction, run_table, videos
from dreamerv2.errors import UsageError


def line(step, **values):
    return json.dumps({'step': step, **values}).encode()


def test_reads_config_series_and_state(tmp_path, logdir):
    path = logdir(
        tmp_path / 'a' / '0',
        task='mario_3-1',
        seed=7,
        steps=1e6,
        config={'rssm': {'deter': 64}},
        lines=[
            {'step': 4, 'train_return': 1.5, 'train_length': 1},
            {'step': 8, 'image_loss': 3.0},
            {'step': 12, 'train_return': 2.5},
        ],
    )
    run = table.read_run(path, tmp_path)
    assert (run.name, run.task, run.levels, run.seed) == ('a/0', 'mario_3-1', ('3-1',), 7)
    assert run.config['rssm.deter'] == 64
    assert run.series['train_return'].steps.tolist() == [4, 12]
    assert run.series['train_return'].values.tolist() == [1.5, 2.5]
    assert run.series['image_loss'].steps.dtype == np.int64
    assert (run.budget, run.done, run.end) == (4_000_000, True, 4_000_000)
    assert run.notes == ()


def test_a_run_that_is_not_done_ends_at_its_last_line(tmp_path, logdir):
    run = table.read_run(logdir(tmp_path / 'r', lines=[{'step': 40, 'fps': 1}], done=False))
    assert not run.done
    assert run.end == run.series['fps'].end == 40


def test_prefill_episodes_are_kept_apart_but_losses_stay(tmp_path, logdir):
    lines = [
        {'step': 4, 'train_return': 1.0, 'max_train_log_x': 2.0, 'train_prefill': 1},
        {'step': 8, 'train_return': 2.0, 'image_loss': 9.0, 'train_prefill': True},
        {'step': 12, 'train_return': 3.0, 'train_prefill': False},
    ]
    run = table.read_run(logdir(tmp_path / 'r', lines=lines))
    assert run.series['train_return'].values.tolist() == [3.0]
    assert run.prefill['train_return'].values.tolist() == [1.0, 2.0]
    assert run.series['image_loss'].values.tolist() == [9.0]
    assert 'max_train_log_x' not in run.series
    assert 'train_prefill' not in run.series


@pytest.mark.parametrize(
    'bad',
    [
        b'{"step": 8, "train_ret',
        b'null',
        b'[1, 2]',
        b'{"train_return": 1}',
        b'{"step": -4}',
        b'{"step": NaN}',
        b'{"step": 1e300}',
        b'{"step": "8"}',
        b'\x00\x00\xff\xfe',
        b'[' * 100_000,
        b'{"step": ' + b'9' * 5000 + b'}',
    ],
)
def test_bad_lines_are_skipped_and_counted(bad):
    rows, count = table.parse_lines([line(4, a=1.0), bad, b'', line(8, a=2.0)])
    assert rows == [(4, {'a': 1.0}), (8, {'a': 2.0})]
    assert count == 1


def test_values_that_are_no_finite_numbers_are_left_out():
    rows, bad = table.parse_lines(
        [b'{"step": 4, "a": NaN, "b": Infinity, "c": "x", "d": null, "e": [1], "f": true, "g": 2}']
    )
    assert (rows, bad) == ([(4, {'f': 1.0, 'g': 2.0})], 0)


def test_half_written_last_line_of_a_running_run(tmp_path, logdir):
    path = logdir(tmp_path / 'r', lines=[{'step': 4, 'a': 1}], tail=b'{"step": 8, "a"', done=False)
    run = table.read_run(path)
    assert run.series['a'].steps.tolist() == [4]
    assert run.notes == ('1 bad line in metrics.jsonl skipped',)


def test_lines_from_before_a_resume_are_replaced():
    rows = [(step, {'a': float(i)}) for i, step in enumerate([4, 8, 12, 16, 8, 12])]
    kept, dropped = table.drop_superseded(rows)
    assert [(step, row['a']) for step, row in kept] == [(4, 0), (8, 1), (8, 4), (12, 5)]
    assert dropped == 2


def test_a_stray_line_out_of_order_is_no_resume():
    rows = [(step, {}) for step in [4, 8, 12, 0, 16, 20]]
    kept, dropped = table.drop_superseded(rows)
    assert [step for step, _ in kept] == [0, 4, 8, 12, 16, 20]
    assert dropped == 0


@pytest.mark.parametrize(
    'content', ['a: [1', '- 1\n- 2\n', '\x00', '', 'a: !!python/object:os.system {}', 'a: \t- b']
)
def test_a_broken_config_is_a_note(tmp_path, logdir, content):
    path = logdir(tmp_path / 'r', lines=[{'step': 4, 'a': 1}])
    (path / 'config.yaml').write_text(content)
    run = table.read_run(path)
    assert run.task == 'unknown'
    assert run.budget is None
    assert len(run.notes) == 1 and 'config.yaml' in run.notes[0]
    assert run.series['a'].values.tolist() == [1.0]


def test_missing_config_and_empty_metrics(tmp_path):
    (tmp_path / 'metrics.jsonl').write_bytes(b'')
    run = table.read_run(tmp_path)
    assert run.notes == ('no config.yaml',)
    assert run.end == 0 and not run.series


def test_finds_runs_at_any_depth_and_not_inside_their_data(tmp_path, logdir):
    for name in ('b', 'a/x', 'a/x/checkpoints/1', 'a/x/train_episodes/1'):
        logdir(tmp_path / name)
    (tmp_path / 'empty').mkdir()
    (tmp_path / 'not_a_run').mkdir()
    (tmp_path / 'not_a_run' / 'config.yaml').write_text('a: 1')
    assert table.find_logdirs(tmp_path) == [tmp_path / 'a/x', tmp_path / 'b']
    assert [run.name for run in table.read_runs(tmp_path)] == ['a/x', 'b']


def test_root_may_be_the_logdir_itself(tmp_path, logdir):
    logdir(tmp_path / 'run')
    assert [run.name for run in table.read_runs(tmp_path / 'run')] == ['run']


def test_wrong_roots_are_named(tmp_path):
    file = tmp_path / 'file'
    file.write_text('')
    for root, words in [
        (tmp_path / 'none', 'no such folder'),
        (file, 'a file'),
        (tmp_path, 'no runs'),
    ]:
        with pytest.raises(UsageError, match=words) as error:
            table.read_runs(root)
        assert str(root) in str(error.value)
        assert '\n' not in str(error.value)


def test_metrics_that_cannot_be_opened(tmp_path, logdir):
    path = logdir(tmp_path / 'r')
    os.remove(path / 'metrics.jsonl')
    (path / 'metrics.jsonl').mkdir()
    run = table.read_run(path)
    assert 'metrics.jsonl cannot be read' in run.notes[0]


@pytest.mark.parametrize(
    ('task', 'study', 'config', 'metrics', 'levels'),
    [
        ('mario_3-1', {}, {}, [], ('3-1',)),
        ('mario_3-1+3-2', {}, {}, [], ('3-1', '3-2')),
        ('mario_e4', {}, {}, [], ('3-1', '3-2', '3-3', '3-4')),
        ('mario_mine', {}, {}, ['train_return/b', 'train_return/a'], ('a', 'b')),
        ('mario_mine', {'levels': ['x', 'y']}, {}, ['train_return/b'], ('x', 'y')),
        ('mario_mine', {}, {'sets.mario_mine': ['x', 'y']}, [], ('x', 'y')),
        ('mario_e4', {}, {'sets.mario_e4': ['x', 'y']}, [], ('x', 'y')),
        ('gym_CartPole-v1', {}, {}, ['train_return/CartPole-v1'], ('CartPole-v1',)),
        ('atari_pong', {'level': 'pong'}, {}, [], ('pong',)),
        ('atari_atari4', {}, {'sets.atari4': ['pong', 'boxing']}, [], ('pong', 'boxing')),
        ('atari4', {}, {'sets.atari4': ['pong', 'boxing']}, [], ('pong', 'boxing')),
        ('tiny', {}, {}, [], ('tiny',)),
    ],
)
def test_levels(task, study, config, metrics, levels):
    assert table.run_levels(task, study, config, metrics) == levels


def test_study_file_with_and_without_the_outer_key(tmp_path, logdir):
    place = {'stage': 'finetune', 'set': 'e4', 'level': '3-1', 'seed': 3}
    flat = table.read_run(logdir(tmp_path / 'a', study=place))
    nested = table.read_run(logdir(tmp_path / 'b', study={'study': place}))
    assert flat.study == nested.study == place
    assert flat.seed == 3


BOMB = '\n'.join(
    ['a0: &a0 {x: 1, y: 1}', *(f'a{i}: &a{i} {{x: *a{i - 1}, y: *a{i - 1}}}' for i in range(1, 30))]
)


@pytest.mark.parametrize(
    'content', [BOMB, 'a: &a {x: *a}', 'a: ' + '[' * 60_000, 'a: 1\n' * 20_000]
)
def test_a_configuration_that_would_take_for_ever_is_passed_over(tmp_path, logdir, content):
    path = logdir(tmp_path / 'r')
    (path / 'config.yaml').write_text(content)
    started = time.monotonic()
    run = table.read_run(path)
    assert run.notes and 'config.yaml cannot be read' in run.notes[0] and run.config == {}
    assert time.monotonic() - started < 20


def row(**changes):
    fields = {'step': 8, 'level': '1-1', 'returns': [1.0, 3.0], 'policy': 'sample', **changes}
    return json.dumps({key: value for key, value in fields.items() if value is not None})


def evaluated(path, *rows):
    """The mean of every metric that a run was evaluated in."""
    path.mkdir(exist_ok=True)
    (path / 'metrics.jsonl').write_text('')
    (path / 'evaluations.jsonl').write_text('\n'.join(rows) + '\n')
    found = table.read_run(path).evaluations
    return {name: series.values.mean() for name, series in found.items()}


def test_an_evaluation(tmp_path):
    assert evaluated(tmp_path, row(progress=[0.5, 1.0], completed=[False, True])) == {
        'train_return/1-1': 2,
        'train_progress/1-1': 0.75,
        'train_completed/1-1': 0.5,
    }
    found = table.read_run(tmp_path).evaluations['train_return/1-1']
    assert found.steps.tolist() == [8, 8] and found.values.tolist() == [1, 3]


def test_what_was_not_evaluated_is_not_there(tmp_path):
    assert evaluated(tmp_path, row(progress=None, completed=[])) == {'train_return/1-1': 2}


def test_the_last_checkpoint_counts_and_then_sampled_actions(tmp_path):
    found = evaluated(
        tmp_path,
        row(step=9, policy='mode', returns=[4.0]),
        row(step=9, returns=[5.0]),
        row(step=9, policy='mode', returns=[6.0]),
        row(step=8, returns=[7.0]),
        row(level='1-2', returns=[1.0]),
        row(level='1-2', returns=[2.0]),
    )
    assert found == {'train_return/1-1': 5, 'train_return/1-2': 2}
    found = evaluated(
        tmp_path,
        row(policy='train', returns=[8.0]),
        row(policy='sample', returns=[9.0]),
        row(policy='mode', returns=[9.0]),
    )
    assert found == {'train_return/1-1': 8}


def test_the_most_probable_actions_have_no_place_beside_training(tmp_path):
    assert evaluated(tmp_path, row(), row(step=9, policy='mode', returns=[4.0])) == {}
    assert evaluated(tmp_path, row(policy='mode'), row(level='1-2')) == {'train_return/1-2': 2}


@pytest.mark.parametrize(
    'line',
    [
        '{"step": 8, "level": "1-1", "retu',
        '[]',
        'null',
        '"text"',
        row(step=None),
        row(step=-1),
        row(step='x'),
        row(step=10**30),
        row(level=None),
        row(level=3),
        row(returns=None),
        row(returns=[]),
        row(returns=['x']),
        row(returns=[[1.0]]),
        row(returns=[1.0, [2.0]]),
        row(returns=[math.nan]),
        row(returns=7),
    ],
)
def test_bad_evaluations_are_skipped(tmp_path, line):
    assert evaluated(tmp_path, line, row(), '') == {'train_return/1-1': 2}


def test_no_evaluations(tmp_path, logdir):
    assert table.read_run(logdir(tmp_path / 'r')).evaluations == {}


def test_figures_answers_and_report_read_no_metrics_again(tmp_path, logdir, monkeypatch):
    lines = [
        {'step': 10 * i, 'train_return/1-1': 1.0, 'train_return/1-2': 2.0} for i in range(1, 9)
    ]
    place = {'stage': 'pretrain', 'set': 's', 'seed': 0}
    path = logdir(tmp_path / 'p', task='mario_1-1+1-2', lines=lines, study=place)
    (path / 'evaluations.jsonl').write_text(row(level='1-1') + '\n')
    (path / 'provenance.json').write_text('{}')
    opened = collections.Counter()
    read_bytes = pathlib.Path.read_bytes
    monkeypatch.setattr(
        pathlib.Path,
        'read_bytes',
        lambda path: opened.update([path.name]) or read_bytes(path),
    )
    data = study.read_study(tmp_path)
    drawn = list(figures.draw(data, ['figure3', 'figure7', 'transfer_matrix'], figures.Smooth(4)))
    assert len(drawn) == 3 and all(one.rows for one in drawn)
    assert answers.by_question(data) and run_table.all_facts(data, tmp_path)
    assert introduction.introduction(data) and videos.best_videos(data) == []
    read = ('metrics.jsonl', 'evaluations.jsonl', 'study.json', 'provenance.json')
    assert [opened[name] for name in read] == [1, 1, 1, 1]
