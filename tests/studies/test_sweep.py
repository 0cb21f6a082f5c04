"""Sweeps: tasks times seeds, skipped, failed and stopped ones; training is a stand-in."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from dreamerv2.errors import UsageError
from dreamerv2.studies import engines, process
from dreamerv2.studies.sweep import run_sweep

# Finishes, or does what the file `behaviour` beside the logdirs says for its seed.
TRAIN = """
import json, pathlib, signal, sys, time
words = sys.argv[1:]
logdir = pathlib.Path(words[words.index('--logdir') + 1])
root = next(folder for folder in logdir.parents if (folder / 'behaviour').exists())
seed = words[words.index('--seed') + 1]
with open(root / 'calls', 'a') as file:
    print(json.dumps(words), file=file)
code = json.loads((root / 'behaviour').read_text()).get(seed, 0)
if code == 'wait':
    def save(*unused):
        (root / 'saved').write_text(seed)
        sys.exit(75)
    signal.signal(signal.SIGTERM, save)
    (root / 'waiting').write_text(seed)
    time.sleep(60)
if code == 0:
    (logdir / 'done.json').write_text(json.dumps({'step': 10**9}))
else:
    print('no luck')
sys.exit(code)
"""

DRIVER = """
import pathlib, sys
from dreamerv2.studies import process
from dreamerv2.studies.sweep import run_sweep
from dreamerv2.cli import exit_code_of
process.TRAIN = pathlib.Path(sys.argv[1])
sys.exit(exit_code_of(run_sweep, sys.argv[2:]))
"""


class Sweep:
    """A sweep in a folder, with what its runs were called with."""

    def __init__(self, root, train):
        self.root, self.train = root, train
        self.behave()

    def behave(self, **codes):
        (self.root / 'behaviour').write_text(json.dumps({k[1:]: v for k, v in codes.items()}))

    def run(self, *words):
        flags = list(words)
        at = flags.index('--') if '--' in flags else len(flags)
        return run_sweep([*flags[:at], '--logdir', str(self.root), *flags[at:]])

    def calls(self):
        path = self.root / 'calls'
        lines = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return [json.loads(line) for line in lines]

    def seeds(self):
        return [(c[c.index('--task') + 1], c[c.index('--seed') + 1]) for c in self.calls()]


@pytest.fixture
def sweep(tmp_path, monkeypatch):
    train = tmp_path / 'train.py'
    train.write_text(TRAIN)
    monkeypatch.setattr(process, 'TRAIN', train)
    root = tmp_path / 'root'
    root.mkdir()
    return Sweep(root, train)


def test_every_task_is_trained_with_every_seed_in_a_logdir_of_its_own(sweep, capsys):
    assert sweep.run('mario', 'mario_3-1,mario_3-1+3-2', '3', '1') == 0
    calls = sweep.calls()
    assert calls == [
        ['--configs', 'mario', '--task', task, '--seed', seed]
        + ['--logdir', f'{sweep.root}/{task}/{seed}', '--steps', '2500000']
        for task in ('mario_3-1', 'mario_3-1+3-2')
        for seed in ('3', '1')
    ]
    assert '4 runs: 4 finished' in capsys.readouterr().out
    assert not (sweep.root / 'mario_3-1' / '3' / 'study.json').exists()


@pytest.mark.parametrize('configs', ['mario debug', 'mario,debug'])
def test_presets_and_flags(sweep, configs):
    assert sweep.run(configs, 'mario_1-1', '0', '--', '--steps', '1e3', '--discount=0.9') == 0
    (call,) = sweep.calls()
    assert call[:3] == ['--configs', 'mario', 'debug']
    assert call[3:6] == ['--steps', '1e3', '--discount=0.9']
    assert call.count('--steps') == 1


def test_a_grid_trains_with_every_combination(sweep, capsys):
    grid = ['--grid', 'model_opt.lr=1e-4,1e-3', '--grid', 'discount=0.9,0.99']
    assert sweep.run('mario', 'mario_1-1,mario_1-2', '0', '1', *grid) == 0
    calls = sweep.calls()
    assert len(calls) == 16
    place = f'{sweep.root}/mario_1-1/model_opt.lr=1e-4,discount=0.99/1'
    (call,) = [call for call in calls if place in call]
    assert call[:6] == ['--configs', 'mario', '--model_opt.lr', '1e-4', '--discount', '0.99']
    assert len({call[call.index('--logdir') + 1] for call in calls}) == 16
    assert sweep.run('mario', 'mario_1-1,mario_1-2', '0', '1', *grid) == 0 and not sweep.calls()
    assert '16 runs: 16 finished' in capsys.readouterr().out


def test_finished_seeds_are_skipped(sweep):
    assert sweep.run('mario', 'mario_1-1', '0') == 0
    assert sweep.run('mario', 'mario_1-1', '0', '1') == 0
    assert sweep.seeds() == [('mario_1-1', '0'), ('mario_1-1', '1')]


def test_several_at_a_time(sweep):
    assert sweep.run('mario', 'mario_1-1', '0', '1', '2', '3', '--jobs', '4') == 0
    assert sorted(sweep.seeds()) == [('mario_1-1', str(seed)) for seed in range(4)]


def test_a_failure_does_not_stop_the_others_but_is_told(sweep, capsys):
    sweep.behave(_1=1, _2=2)
    assert sweep.run('mario', 'mario_1-1', '0', '1', '2', '3', '--retries', '0') == 1
    assert [seed for _, seed in sweep.seeds()] == ['0', '1', '2', '3']
    out = capsys.readouterr().out
    assert 'mario_1-1/1: failed with exit code 1: no luck' in out
    assert '4 runs: 2 finished, 2 failed' in out


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR2])
def test_a_signal_stops_the_sweep_after_one_checkpoint(sweep, repository, number):
    sweep.behave(_0='wait')
    words = ['mario', 'mario_1-1', '0', '1', '--logdir', str(sweep.root)]
    driver = subprocess.Popen(
        [sys.executable, '-c', DRIVER, str(sweep.train), *words],
        env={**os.environ, 'PYTHONPATH': str(repository)},
        stdout=subprocess.PIPE,
        text=True,
    )
    end = time.monotonic() + 30
    while not (sweep.root / 'waiting').exists():
        assert time.monotonic() < end
        time.sleep(0.05)
    driver.send_signal(number)
    out, _ = driver.communicate(timeout=30)
    assert driver.returncode == 75 and 'The same command resumes from here.' in out
    assert (sweep.root / 'saved').read_text() == '0'
    assert sweep.seeds() == [('mario_1-1', '0')]


def test_only_showing_starts_nothing(sweep, capsys):
    assert sweep.run('mario', 'mario_1-1', '0', '--dry_run') == 0
    assert capsys.readouterr().out.startswith('mario_1-1/0: --configs mario --task mario_1-1')
    assert sweep.calls() == []


@pytest.mark.parametrize(
    ('words', 'expected'),
    [
        (['mario', 'mario_1-1'], 'SEED'),
        (['mario', 'mario_1-1', 'x'], "'x'"),
        (['mario', 'mario_1-1', '0', '--steps', '3'], '--steps'),
        (['mario', 'mario_1-1', '--', '--steps'], 'SEED'),
        ([' ', 'mario_1-1', '1'], 'CONFIG'),
        (['mairo', 'mario_1-1', '1'], 'did you mean mario'),
        (['mario', 'mario_9-1', '1'], '9-1'),
        (['mario', 'mario_1-1', '1', '--gpus', 'a'], "'a'"),
        (['mario', 'mario_1-1', '1', '--gpus', '0', '--jobs', '2'], '--jobs 2'),
        (
            ['mario', 'mario_1-1', '1', '--gpus', '0,3'],
            'there is no GPU 3; this machine has 0 to 1',
        ),
        (['mario', 'mario_1-1', '1', '--gpus', '1,1'], 'each GPU once'),
        (['mario', 'mario_1-1', '1', '--gpus', '0,-1'], "'0,-1'"),
        (['mario', 'mario_1-1', '1', '--gpus', '0', '--gpus_per_run', '1.5'], 'from 0.05 to 1'),
        (['mario', 'mario_1-1', '1', '--gpus', '0', '--gpus_per_run', '0.001'], 'from 0.05 to 1'),
        (['mario', 'mario_1-1', '1', '--gpus', '0', '--gpus_per_run', 'nan'], 'from 0.05 to 1'),
        (['mario', 'mario_1-1', '1', '--gpus_per_run', '0.5'], 'needs --gpus'),
        (['mario', 'mario_1-1', '1', '--engine', 'ray', '--gpus', '0'], 'is for this machine'),
        (['mario', 'mario_1-1', '1', '--engine', 'ray', '--gpus_per_run', '1.5'], 'whole number'),
        (['mario', 'mario_1-1', '1', '--engine', 'slurm', '--gpus_per_run', '0.5'], 'whole GPUs'),
        (['mario', 'mario_1-1', '1', '--slurm', 'partition'], 'KEY=VALUE'),
        (['mario', 'mario_1-1', '1', '--', '--seed', '3'], '--seed is set by the sweep'),
        (['mario', 'mario_1-1', '1', '--', '--no_key', '3'], 'no_key'),
        (['mario', 'mario_1-1', '1', '--grid', 'discount'], 'expected KEY=VALUE,VALUE'),
        (['mario', 'mario_1-1', '1', '--grid', 'discount='], 'expected KEY=VALUE,VALUE'),
        (['mario', 'mario_1-1', '1', '--grid', 'discount=0.9,0.9'], 'different values'),
        (['mario', 'mario_1-1', '1', '--grid', 'init.from=../x'], 'expected KEY=VALUE,VALUE'),
        (['mario', 'mario_1-1', '1', '--grid', 'discount=0.9,2'], 'discount'),
        (['mario', 'mario_1-1', '1', '--grid', 'discont=0.9'], 'did you mean discount'),
        (['mario', 'mario_1-1', '1', '--grid', 'seed=1,2'], '--seed is set by the sweep'),
        (
            ['mario', 'mario_1-1', '1', '--grid', 'discount=0.9', '--grid', 'discount=0.8'],
            'discount is there twice',
        ),
    ],
)
def test_wrong_arguments(sweep, words, expected, monkeypatch):
    monkeypatch.setattr(engines, 'driver_gpus', lambda: ['a card', 'another'])
    with pytest.raises(UsageError) as caught:
        sweep.run(*words)
    assert expected in str(caught.value) and '\n' not in str(caught.value)
    assert sweep.calls() == []
    assert not sweep.root.exists() or not list(sweep.root.glob('mario_1-1'))


@pytest.mark.parametrize(
    ('found', 'words'),
    [
        ([], 'no NVIDIA GPU'),
        ('nvidia-smi says: no', 'nvidia-smi says: no'),
    ],
)
def test_gpus_that_are_not_there(sweep, found, words, monkeypatch):
    monkeypatch.setattr(engines, 'driver_gpus', lambda: found)
    with pytest.raises(UsageError, match=f'--gpus 0,1: .*{words}'):
        sweep.run('mario', 'mario_1-1', '1', '--gpus', '0,1')
    assert sweep.calls() == []
