"""A whole study of real runs on real levels, killed on the way and started again."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import numpy as np
import pytest

from dreamerv2.analysis.report.videos import best_videos
from dreamerv2.analysis.study import read_study
from dreamerv2.run.logdir.lock import holder_of

STUDY = """
configs: [mario, debug]
config:
  {prefill: 60, eval_every: 0, log_every: 20, save_every: 40, precision: float32, time_limit: 25}
frames: 600
seeds: [0]
pretrain: [pair]
transfer: [1-3]
baseline: [1-1]
sets: {pair: [1-1, 1-2]}
"""
RUNS = ['baseline/1-1/0', 'pretrain/pair/0', 'transfer/pair/1-3/0']


@pytest.fixture
def command(repository, tmp_path):
    """Runs one of the experiments' scripts."""
    (tmp_path / 'study.yaml').write_text(STUDY)

    def start(script, *arguments):
        words = [sys.executable, str(repository / 'experiments' / script), *map(str, arguments)]
        env = {**os.environ, 'PYTHONPATH': str(repository)}
        return subprocess.Popen(
            words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env
        )

    return start


def ended(process, seconds=400):
    out, err = process.communicate(timeout=seconds)
    return process.returncode, out, err


def wait_until(condition, seconds=300):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, 'it never came'
        time.sleep(0.1)


@pytest.mark.slow
def test_a_study_is_killed_and_goes_on_to_its_end(command, tmp_path):
    root = tmp_path / 'root'
    kept = '--archive', tmp_path / 'kept' / 'root'
    arguments = (tmp_path / 'study.yaml', '--logdir', root, *kept)
    first = command('study.py', *arguments)
    second_run = root / RUNS[1]
    wait_until(lambda: list((second_run / 'train_episodes').glob('*.npz')))
    first.send_signal(signal.SIGKILL)
    first.communicate()
    # The run that was going on ends by itself.
    wait_until(lambda: holder_of(second_run) is None, 60)
    before = (root / RUNS[0] / 'done.json').stat().st_mtime_ns

    code, out, err = ended(command('study.py', *arguments))
    assert code == 0, out + err
    assert 'baseline/1-1/0: starts' not in out
    for name in RUNS[1:]:
        assert f'{name}: finished' in out
    assert '3 runs: 3 finished' in out
    assert (root / RUNS[0] / 'done.json').stat().st_mtime_ns == before

    study = read_study(root)
    assert sorted(str(place) for place in study.runs) == [
        'baseline 1-1 seed 0',
        'pretrain pair seed 0',
        'transfer pair 1-3 seed 0',
    ]
    assert study.unfinished(study.runs) == []
    parent = json.loads((root / RUNS[2] / 'provenance.json').read_text())['parent']
    assert parent['logdir'] == str(root / RUNS[1]) and parent['step'] == 600
    # The pre-trained agent plays all levels, the transferred one those of the set it came from.
    for name, levels in ((RUNS[1], ['1-1', '1-2', '1-3']), (RUNS[2], ['1-1', '1-2'])):
        lines = (root / name / 'evaluations.jsonl').read_text().splitlines()
        rows = [json.loads(line) for line in lines]
        assert [row['level'] for row in rows] == levels
        assert {row['policy'] for row in rows} == {'train'}
        assert {row['step'] for row in rows} == {600}
        assert all(len(row['returns']) == len(row['progress']) == 10 for row in rows)
    assert not (root / RUNS[0] / 'evaluations.jsonl').exists()
    assert not (root / RUNS[2] / 'reconstructions.npz').exists()
    with np.load(second_run / 'reconstructions.npz', allow_pickle=False) as found:
        assert found['frames'].shape == found['reconstructions'].shape == (6, 64, 64, 1)
        assert str(found['level']) == '1-3'
        assert found['player_error'] > 0

    code, out, _ = ended(command('status.py', root, '--json'), 60)
    assert code == 0
    assert {row['run']: row['kind'] for row in json.loads(out)} == dict.fromkeys(RUNS, 'finished')
    started = time.monotonic()
    code, out, _ = ended(command('study.py', *arguments), 60)
    assert code == 0 and ': starts' not in out and ': evaluating' not in out
    assert time.monotonic() - started < 20

    made = [root / name / 'videos' / '600.mp4' for name in RUNS]
    for path in (made[0], made[2]):
        path.parent.mkdir()
        path.write_bytes(b'a video made before')
    code, out, err = ended(command('videos.py', root))
    assert code == 0, err
    said = [line.split(': ')[1] for line in out.splitlines()]
    assert said == [f'{made[0]} exists', f'{made[1]}', f'{made[2]} exists']
    assert made[0].read_bytes() == b'a video made before' and made[1].stat().st_size > 1000
    for path in (made[0], made[2]):
        path.write_bytes(made[1].read_bytes())
    assert [video.path for video in best_videos(read_study(root))] == made
    assert [list(path.parent.iterdir()) for path in made] == [[path] for path in made]
    check_the_archive(command, tmp_path, arguments)


def check_the_archive(command, tmp_path, arguments):
    """Report and figures need the archive alone, and a lost study is restored from it."""
    root, path = tmp_path / 'root', tmp_path / 'kept' / 'root'
    code, out, err = ended(command('study.py', *arguments), 60)
    assert code == 0, err
    said = [line.partition(',')[0] for line in out.splitlines() if 'archived' in line]
    assert said == [f'{name}: archived' for name in RUNS]  # again, with the videos
    code, _, err = ended(command('report.py', root, '--out', tmp_path / 'of_root.html'))
    assert code == 0, err
    root.rename(tmp_path / 'lost')
    for script in ('report.py', 'figures.py'):
        code, _, err = ended(command(script, path))
        assert code == 0, err
    assert (path / 'figures' / 'figure2.png').exists()
    places = rf'{re.escape(str(root))}|{re.escape(tempfile.gettempdir())}/[^/ "<]*/root'
    texts = [
        re.sub(r'\d\d:\d\d UTC', 'TIME', re.sub(places, 'ROOT', file.read_text()))
        for file in (tmp_path / 'of_root.html', path / 'report.html')
    ]
    assert texts[0] == texts[1]
    code, out, err = ended(command('status.py', path, '--json'), 60)
    assert code == 0, err
    assert {row['run']: row['kind'] for row in json.loads(out)} == dict.fromkeys(RUNS, 'finished')
    code, out, err = ended(command('study.py', *arguments), 60)
    assert code == 0, err
    assert [f'{name}: from {path / name}.zip' in out for name in RUNS] == [True] * 3
    assert ': starts' not in out and (root / RUNS[0] / 'done.json').exists()


def test_the_runs_of_a_grid_are_listed_and_a_wrong_one_leaves_nothing(command, tmp_path):
    root, study = tmp_path / 'root', tmp_path / 'study.yaml'
    study.write_text(f'{STUDY}grid: {{discount: [0.9, 9e-1]}}\n')
    code, _, err = ended(command('study.py', study, '--logdir', root), 60)
    assert code == 2 and len(err.splitlines()) == 1
    assert f'{study} line 11: grid.discount 0.9: expected each value once' in err
    study.write_text(f'{STUDY}grid: {{discount: [0.9, 0.99]}}\n')
    code, out, err = ended(command('study.py', study, '--logdir', root, '--dry_run'), 60)
    assert code == 0, err
    rows = [line.split() for line in out.splitlines()]
    assert [row[0] for row in rows[1:7]] == [
        f'discount={value}/{stage}'
        for value in ('0.9', '0.99')
        for stage in ('baseline', 'pretrain', 'transfer')
    ]
    assert rows[7] == ['in', 'all', '6', '0', '3,600'] and not root.exists()
    root.mkdir()
    shutil.copy(study, root)
    code, out, err = ended(command('status.py', root), 60)
    assert code == 0, err
    names = [f'discount={value}/{run}' for value in ('0.9', '0.99') for run in RUNS]
    assert [line.split()[:2] for line in out.splitlines()[1:-1]] == [[x, 'waiting'] for x in names]


def test_a_missing_parent_is_named(command, tmp_path):
    arguments = (tmp_path / 'study.yaml', '--logdir', tmp_path / 'root')
    code, out, err = ended(command('transfer.py', *arguments), 60)
    assert code == 2
    assert 'transfer/pair/1-3/0 starts from pretrain/pair/0, which does not exist yet' in err
    assert 'experiments/pretrain.py' in err and len(err.splitlines()) == 1
    assert not (tmp_path / 'root').exists()


@pytest.mark.parametrize(
    ('script', 'arguments', 'words'),
    [
        ('study.py', [], ['STUDY.yaml', 'required']),
        ('study.py', ['nowhere.yaml', '--logdir', 'x'], ['nowhere.yaml', 'cannot be read']),
        ('study.py', ['{study}', '--logdir', 'x', '--seeds', '9'], ['--seeds 9', 'there are 0']),
        ('study.py', ['{study}', '--logdir', 'x', '--jobs', '-1'], ['--jobs', "'-1'"]),
        ('study.py', ['{study}', '--logdir', 'x', '--gpus', '0', '--gpus_per_run', '0'], ['0.0']),
        ('pretrain.py', ['{study}', '--logdir', 'x', '--sets', 'e4'], ['--sets e4', 'pair']),
        ('status.py', ['nowhere'], ['not a study']),
        ('videos.py', ['nowhere'], ['nowhere']),
        ('reconstruct.py', ['nowhere', '--task', 'mario_1-1'], ['nowhere does not exist']),
        ('reconstruct.py', ['x', '--task', 'mario_1-1', '--frames', '0'], ['--frames', "'0'"]),
    ],
)
def test_mistakes_are_one_line_and_exit_code_2(command, tmp_path, script, arguments, words):
    filled = [word.format(study=tmp_path / 'study.yaml') for word in arguments]
    code, out, err = ended(command(script, *filled), 60)
    assert code == 2
    assert len(err.splitlines()) == 1
    for word in words:
        assert word in err
