import csv
import os
import pathlib
import shutil
import subprocess
import sys
import xml.etree.ElementTree

import matplotlib.image
import numpy as np
import pytest

from dreamerv2.analysis import panels, plot, table

REPOSITORY = pathlib.Path(__file__).parents[2]


def read(path):
    with open(path, newline='') as file:
        return list(csv.DictReader(file))


@pytest.fixture
def study(tmp_path, logdir, episodes):
    """Three seeds on 1-1, of which one ended at half, and one run on 3-1."""
    root = tmp_path / 'root'
    for seed in range(3):
        end = 2000 if seed == 2 else 4000
        lines = episodes({'1-1': lambda f: f / 10}, end=end, count=end // 40, seed=seed, prefill=5)
        logdir(root / f'1-1/{seed}', seed=seed, lines=lines, done=seed != 2)
    lines = episodes({'3-1': lambda f: 100.0}, end=4000, count=50, noise=0.0)
    logdir(root / '3-1/0', task='mario_3-1', lines=[*lines, {'step': 4000, 'image_loss': 7.0}])
    return root


def test_writes_a_picture_a_drawing_and_the_numbers(study, capsys):
    assert plot.main([str(study), '--bins', '10', '--window', '5']) == 0
    printed = capsys.readouterr().out.splitlines()
    stem = study / 'plot_train_return'
    assert printed[-3:] == [f'{stem}.png', f'{stem}.svg', f'{stem}.csv']
    assert printed[0].startswith('mario_1-1: 3 runs (seeds 0, 1, 2), 2 finished, 2k to 4k frames')
    picture = matplotlib.image.imread(f'{stem}.png')
    assert picture.shape[0] > 300 and picture.shape[1] > 800
    assert np.ptp(picture[..., :3]) == 1.0
    assert xml.etree.ElementTree.parse(f'{stem}.svg').getroot().tag.endswith('svg')
    rows = [row for row in read(f'{stem}.csv') if row['task'] == 'mario_1-1']
    assert [row['frames'] for row in rows] == [str(400 * i) for i in range(1, 11)]
    assert [row['n'] for row in rows] == ['3'] * 5 + ['2'] * 5
    for row in rows:
        assert float(row['low']) <= float(row['mean']) <= float(row['high'])
    # The mean over (3600, 4000] of frames / 10 is 382, with noise 20 over 20 episodes.
    assert abs(float(rows[-1]['mean']) - 382) < 20


def test_numbers_of_a_lone_run_have_no_band(study):
    assert plot.main([str(study), '--bins', '4']) == 0
    rows = [row for row in read(study / 'plot_train_return.csv') if row['task'] == 'mario_3-1']
    assert [float(row['mean']) for row in rows] == [100.0] * 4
    assert {row['low'] for row in rows} == {row['high'] for row in rows} == {''}


def axes(root, metric='train_return'):
    runs = plot.with_metric(table.read_runs(root), metric)
    figure, _, _ = panels.draw(runs, metric, bins=10)
    return [ax for ax in figure.axes if ax.get_visible()]


def legend(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_a_panel_a_task_with_n_random_policy_and_ends(study):
    first, second = axes(study)
    assert (first.get_title('left'), second.get_title('left')) == ('mario_1-1', 'mario_3-1')
    assert legend(first) == [
        'mean over seeds, 95 % band, n = 3',
        'random policy: 259 (20 episodes)',
        'a run ends here (dotted: the others)',
    ]
    assert legend(second) == [
        'an episode',
        'smoothed over 20 episodes, n = 1',
        'random policy: 151 (20 episodes)',
    ]
    assert first.get_xlabel() == 'frames (k)'
    assert first.get_ylabel() == 'training return'
    crosses = [line for line in first.lines if line.get_marker() == 'x' and len(line.get_xdata())]
    assert [line.get_xdata()[0] for line in crosses] == [2000]


def test_large_numbers_are_printed_in_full(tmp_path, logdir, capsys):
    lines = [{'step': 4 * i, 'image_loss': 19234.4} for i in range(1, 9)]
    logdir(tmp_path / 'r', lines=lines)
    assert plot.main([str(tmp_path), '--metric', 'image_loss']) == 0
    assert 'last image_loss: 19234\n' in capsys.readouterr().out


def test_prefill_is_not_drawn(tmp_path, logdir, episodes):
    lines = episodes(
        {'1-1': lambda f: -1000.0 if f <= 400 else 500.0},
        end=4000,
        count=100,
        prefill=10,
        noise=0.0,
    )
    logdir(tmp_path / 'r', lines=lines)
    (ax,) = axes(tmp_path)
    assert len(ax.collections[0].get_offsets()) == 90
    assert all(np.nanmin(line.get_ydata()) >= 250 for line in ax.lines if len(line.get_ydata()))


def test_another_metric_and_place(study, tmp_path, capsys):
    out = tmp_path / 'deep' / 'curve.png'
    assert plot.main([str(study), '--metric', 'image_loss', '--out', str(out)]) == 0
    assert 'left out: 3 of 4 runs with no image_loss' in capsys.readouterr().out
    assert out.exists() and out.with_suffix('.svg').exists()
    (row,) = [row for row in read(out.with_suffix('.csv')) if row['mean']]
    assert (row['frames'], row['mean'], row['n']) == ('4000', '7', '1')


def test_per_level_metric_has_its_level_s_random_line(study):
    (ax,) = axes(study, 'train_return/3-1')
    assert 'random policy: 151 (20 episodes)' in legend(ax)
    assert ax.get_ylabel() == 'training return, 3-1'


def test_settings_get_a_line_each(tmp_path, logdir, episodes):
    lines = episodes({'1-1': lambda f: 1.0}, end=4000)
    for name, ent in [('a', 1), ('b', 2), ('c', 2)]:
        logdir(tmp_path / name, lines=lines, config={'actor_ent': ent})
    (ax,) = axes(tmp_path)
    assert legend(ax)[:2] == ['actor_ent=1: n = 1', 'actor_ent=2: n = 2']


def test_a_short_run_keeps_its_detail_beside_a_long_one(tmp_path, logdir, episodes):
    for name, end in [('a', 40_000), ('b', 1_000_000)]:
        lines = episodes({'1-1': lambda f: 1.0}, end=end)
        logdir(tmp_path / name, lines=lines, config={'actor_ent': name}, steps=end // 4)
    (ax,) = axes(tmp_path)
    assert [np.nanmax(line.get_xdata()) for line in ax.lines[:2]] == [40_000, 1_000_000]
    assert np.isfinite(ax.lines[0].get_ydata()).sum() == 10
    assert not any('ends here' in text for text in legend(ax))


def test_broken_lines_are_told(study, capsys):
    with (study / '3-1/0/metrics.jsonl').open('ab') as file:
        file.write(b'{"step": 40')
    assert plot.main([str(study)]) == 0
    assert '3-1/0: 1 bad line in metrics.jsonl skipped' in capsys.readouterr().out


@pytest.mark.parametrize(
    ('arguments', 'words'),
    [
        (['ROOT/none'], ['no such folder']),
        (['ROOT/1-1/0/metrics.jsonl'], ['a file']),
        (['ROOT', '--metric', 'train_retrun'], ['did you mean train_return?', 'image_loss']),
        (['ROOT', '--metric', 'nothing_like_it'], ['no run has it; there are image_loss']),
        (['ROOT', '--out', 'curve.jpg'], ['curve.jpg', '.png']),
        (['ROOT', '--out', 'ROOT'], ['a folder']),
        (['ROOT', '--out', 'ROOT/1-1/0/metrics.jsonl/x.png'], ['cannot write there']),
        (['ROOT', '--bins', '1'], ['--bins', 'from 2']),
        (['ROOT', '--bins', 'x'], ['--bins', 'x']),
        (['ROOT', '--window', '0'], ['--window', 'from 1']),
        (['ROOT', '--smooth', '3'], ['--smooth']),
        ([], ['ROOT']),
    ],
)
def test_mistakes_are_one_line_and_exit_code_2(study, capsys, arguments, words):
    assert plot.main([word.replace('ROOT', str(study)) for word in arguments]) == 2
    captured = capsys.readouterr()
    assert captured.err.count('\n') == 1
    for word in words:
        assert word in captured.err


def test_nothing_after_prefill_yet(tmp_path, logdir, capsys):
    logdir(tmp_path / 'r', lines=[{'step': 4, 'train_return': 1.0, 'train_prefill': 1}])
    assert plot.main([str(tmp_path)]) == 2
    assert 'only prefill episodes so far' in capsys.readouterr().err
    assert plot.main([str(tmp_path), '--metric', 'fps']) == 2
    assert 'no run has a metric after prefill yet' in capsys.readouterr().err


@pytest.fixture
def repository(tmp_path):
    """A copy of the script beside the package, with this interpreter as its environment's."""
    root = tmp_path / 'a repository'
    (root / 'scripts').mkdir(parents=True)
    shutil.copy(REPOSITORY / 'scripts' / 'plot.sh', root / 'scripts')
    (root / 'dreamerv2').symlink_to(REPOSITORY / 'dreamerv2')
    python = root / '.venv' / 'bin' / 'python'
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    return root


def script(repository, *arguments, cwd):
    command = [repository / 'scripts' / 'plot.sh', *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=60)


def test_script_passes_its_arguments_on(repository, study):
    result = script(repository, 'root', '--bins', '5', '--out', 'x.png', cwd=study.parent)
    assert (result.returncode, result.stderr) == (0, '')
    assert result.stdout.splitlines()[-3:] == ['x.png', 'x.svg', 'x.csv']
    assert len(read(study.parent / 'x.csv')) == 10


def test_script_helps_and_names_what_is_missing(repository, tmp_path):
    result = script(repository, '-h', cwd=tmp_path)
    assert result.returncode == 0 and result.stdout.startswith('Usage: scripts/plot.sh ROOT')
    result = script(repository, cwd=tmp_path)
    assert result.returncode == 2 and result.stderr.count('\n') == 1
    os.remove(repository / '.venv' / 'bin' / 'python')
    result = script(repository, 'x', cwd=tmp_path)
    assert result.returncode == 2 and 'scripts/setup.sh first' in result.stderr


def test_reading_and_drawing_need_no_tensorflow():
    code = (
        'import sys, dreamerv2.analysis.plot, dreamerv2.analysis.panels; '
        'names = {name.split(".")[0] for name in sys.modules}; '
        'parts = {name for name in sys.modules if name.startswith("dreamerv2.")}; '
        'assert not names & {"tensorflow", "keras", "pandas"}, names; '
        'assert "matplotlib.pyplot" not in sys.modules; '
        'own = ("dreamerv2.analysis", "dreamerv2.config"); '
        'others = {p.removeprefix("dreamerv2.") for p in parts if not p.startswith(own)}; '
        'read = {"archive", "cli", "durable", "errors", "paths", "plugins", "quiet", "studies"};'
        'read |= {"studies.definition"};'
        'assert others == read, others'
    )
    environment = {**os.environ, 'PYTHONPATH': str(REPOSITORY)}
    result = subprocess.run([sys.executable, '-c', code], env=environment, capture_output=True)
    assert result.returncode == 0, result.stderr.decode()
