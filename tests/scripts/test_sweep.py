"""scripts/sweep.sh: seeds one after another, skipped, failed and stopped ones."""

import signal
import time

import pytest

LOGDIR = 'shift; while [ "$1" != --logdir ]; do shift; done; logdir=$2; mkdir -p "$logdir";'


@pytest.fixture
def sweep(sandbox):
    """A sandbox that is set up."""
    sandbox.make_venv()
    return sandbox


def seeds(sandbox):
    return [call[call.index('--seed') + 1] for call in sandbox.calls()]


def test_every_seed_is_trained_in_its_own_logdir(sweep):
    code, out, err = sweep.run('sweep.sh', 'mario', 'mario_3-1+3-2', '3', '1')
    assert (code, err) == (0, '') and out.count('sweep: ') == 2
    home = sweep.env['HOME']
    assert sweep.calls() == [
        ['-m', 'dreamerv2.train', '--configs', 'mario', '--task', 'mario_3-1+3-2']
        + ['--seed', seed, '--logdir', f'{home}/logdir/mario_3-1+3-2/{seed}']
        for seed in ('3', '1')
    ]


@pytest.mark.parametrize('configs', ['mario debug', 'mario,debug'])
def test_presets_flags_and_root(sweep, configs):
    args = [configs, 'mario_1-1', '0', '--', '--steps', '1e3', '--logdir_note=a b']
    assert sweep.run('sweep.sh', *args, LOGROOT='/some where')[0] == 0
    (call,) = sweep.calls()
    assert call[2:5] == ['--configs', 'mario', 'debug']
    assert call[-5:] == [
        '--logdir',
        '/some where/mario_1-1/0',
        '--steps',
        '1e3',
        '--logdir_note=a b',
    ]


def test_finished_seeds_are_skipped(sweep, tmp_path):
    sweep.behave(f'{LOGDIR} : >"$logdir/done.json"')
    root = {'LOGROOT': str(tmp_path / 'runs')}
    assert sweep.run('sweep.sh', 'mario', 'mario_1-1', '0', **root)[0] == 0
    sweep.forget()
    code, out, _ = sweep.run('sweep.sh', 'mario', 'mario_1-1', '0', '1', **root)
    assert code == 0 and seeds(sweep) == ['1'] and 'finished before' in out


def test_a_failure_does_not_stop_the_others_but_is_told(sweep):
    sweep.behave('case "$*" in *"--seed 1 "*) exit 1 ;; *"--seed 2 "*) exit 2 ;; esac')
    code, _, err = sweep.run('sweep.sh', 'mario', 'mario_1-1', '0', '1', '2', '3')
    assert code == 1 and seeds(sweep) == ['0', '1', '2', '3']
    assert err.splitlines()[-1] == 'sweep: mario_1-1: failed seeds: 1 2'


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_the_sweep_after_one_checkpoint(sweep, number):
    # Like training: the first signal asks it to save and end with 75, a second one kills it.
    sweep.behave(
        'trap "trap - TERM INT; sleep 0.5; echo saved >>$FAKE_NOTES/saved; exit 75" TERM INT\n'
        ': >"$FAKE_NOTES/running"; for i in {1..200}; do sleep 0.1; done'
    )
    process = sweep.start('sweep.sh', 'mario', 'mario_1-1', '0', '1')
    deadline = time.monotonic() + 30
    while not (sweep.notes / 'running').exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(number)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 75 and 'stopped in seed 0' in err
    assert (sweep.notes / 'saved').read_text() == 'saved\n' and seeds(sweep) == ['0']


def test_a_run_that_was_stopped_stops_the_sweep(sweep):
    sweep.behave('exit 75')
    code, _, err = sweep.run('sweep.sh', 'mario', 'mario_1-1', '0', '1')
    assert code == 75 and seeds(sweep) == ['0'] and 'seed 0 was stopped' in err


@pytest.mark.parametrize(
    ('args', 'word'),
    [
        (['mario', 'mario_1-1'], 'CONFIG TASK SEED'),
        (['mario', 'mario_1-1', 'x'], "'x'"),
        (['mario', 'mario_1-1', '--steps', '3'], "'--steps'"),
        (['mario', 'mario_1-1', '--', '--steps'], 'SEED'),
        ([' ', 'mario_1-1', '1'], 'CONFIG'),
    ],
)
def test_wrong_arguments(sweep, args, word):
    code, out, err = sweep.run('sweep.sh', *args)
    assert (code, out) == (2, '') and word in err and len(err.splitlines()) == 1
    assert sweep.calls() == []
