"""A logdir of an earlier version, 6bf5bbc, goes on, is evaluated and plotted."""

import json
import pathlib
import subprocess
import sys
import tarfile

import pytest

from dreamerv2.analysis import plot as plot_command
from dreamerv2.analysis import table
from dreamerv2.run import checkpoint

ARCHIVE = pathlib.Path(__file__).parents[1] / 'reference' / 'logdir_6bf5bbc.tar.xz'


@pytest.fixture
def old(tmp_path):
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(tmp_path, filter='data')
    return tmp_path / 'golden'


def ran(arguments, env, cwd, code=0):
    """What a command prints: its output, or, where it is refused, its errors."""
    command = [sys.executable, '-m', *arguments]
    found = subprocess.run(command, capture_output=True, text=True, env=env, cwd=cwd, timeout=240)
    assert found.returncode == code, found.stderr
    return found.stderr if code else found.stdout


def test_it_goes_on_from_its_last_update(old, python_env):
    """With the preset of then, which the refusal of today's names."""
    command = json.loads((old / 'provenance.json').read_bytes())['command'][1:]
    command[command.index('--steps') + 1] = '360'
    before = checkpoint.find(old).state['progress']
    refusal = ran(['dreamerv2.train', *command], python_env, old.parent, code=2)
    assert 'mario_small has changed since: resume it with --configs mario_small_v1' in refusal
    command[command.index('mario_small')] = 'mario_small_v1'
    ran(['dreamerv2.train', *command], python_env, old.parent)
    after = checkpoint.find(old).state['progress']
    assert (before['step'], after['step']) == (300, 360)
    assert after['updates'] == before['updates'] + 6  # One every ten steps.
    steps = [json.loads(line)['step'] for line in (old / 'metrics.jsonl').read_text().splitlines()]
    assert steps == sorted(steps) and steps[-1] > 1200


def test_it_is_evaluated(old, python_env):
    results = old.parent / 'results.json'
    flags = ['--episodes', '1', '--policy', 'sample', '--json', str(results)]
    shown = ran(['dreamerv2.evaluate', str(old), *flags], python_env, old.parent)
    assert 'at 1200 frames' in shown
    assert json.loads(results.read_bytes())['levels']['1-1']['episodes'] == 1


def test_it_is_plotted(old, tmp_path):
    (run,) = table.read_runs(old)
    assert run.done and run.end == 1200 and run.levels == ('1-1',) and run.notes == ()
    assert len(run.series['train_return']) + len(run.prefill['train_return']) >= 5
    assert plot_command.main([str(old), '--out', str(tmp_path / 'curve.png')]) == 0
    assert (tmp_path / 'curve.png').stat().st_size > 10_000
