"""A logdir in which one thing is broken on purpose: the row that fails names it and a hint."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time

import pytest
from doctor_runs import FRAMES, LENGTHS, STEPS, episode_files, flip, not_ok, rows_of

from dreamerv2.config import Config
from dreamerv2.doctor import logdir, metrics
from dreamerv2.doctor.rows import FAILED, OK, WARNING
from dreamerv2.errors import UsageError
from dreamerv2.run.logdir import lock
from dreamerv2.run.logdir.folder import mark_finished


def snapshot(path):
    """Every entry below a folder: content, size and time of the last change."""
    return {
        str(entry.relative_to(path)): (
            entry.read_bytes() if entry.is_file() else b'',
            entry.stat().st_mtime_ns,
            entry.stat().st_mode,
        )
        for entry in sorted(path.rglob('*'))
    } | {'.': path.stat().st_mtime_ns}


def test_an_intact_run_is_only_read(run):
    before = snapshot(run)
    rows = rows_of(run)
    assert [row.status for row in rows] == [OK] * len(rows)
    seen = {row.check: row.seen for row in rows}
    assert seen['checkpoints'].startswith(f'verified: {4 * (STEPS - LENGTHS[-1])}, {FRAMES} frames')
    assert f'{len(LENGTHS)} episodes, {STEPS} steps, as the checkpoint counts' in seen['counts']
    assert 'no run' in seen['lock'] and 'task mario_1-1, seed 0' in seen['config']
    assert f'8 rows up to step {FRAMES}' in seen['metrics']
    assert snapshot(run) == before


def test_damage_is_only_read_too(run):
    flip(episode_files(run)[0].path)
    flip(run / 'checkpoints' / f'{FRAMES:010d}' / 'agent.safetensors')
    (run / 'checkpoints' / '.0000000100.tmp').mkdir()
    (run / 'train_episodes' / 'x.npz.tmp').write_bytes(b'half')
    with open(run / 'metrics.jsonl', 'a') as file:
        file.write('{"step": 1')
    leave_lock(run, pid=2**22 + 1)
    before = snapshot(run)
    statuses = {row.check: row.status for row in rows_of(run) if row.status != OK}
    assert {'lock', 'checkpoints', 'episodes', 'metrics'} <= set(statuses)
    assert snapshot(run) == before


@pytest.mark.parametrize('name', ['agent.safetensors', 'state.json', 'config.yaml'])
def test_a_flipped_byte_in_a_checkpoint(run, name):
    file = run / 'checkpoints' / f'{FRAMES:010d}' / name
    flip(file)
    row = not_ok(run)
    assert row.check == 'checkpoints'
    assert str(file) in row.seen and 'SHA-256' in row.seen
    assert f'takes that of {4 * (STEPS - LENGTHS[-1])} frames' in row.hint


def test_a_checkpoint_with_half_a_manifest_and_one_with_a_strange_one(run):
    old, new = sorted((run / 'checkpoints').iterdir())
    os.truncate(old / 'manifest.json', 30)
    row = not_ok(run)
    assert str(old / 'manifest.json') in row.seen and 'newer one' in row.hint
    (new / 'manifest.json').write_text(
        json.dumps({'format': 1, 'frames': 4, 'files': dict.fromkeys(['agent.safetensors'], 7)})
    )
    bad = [row for row in rows_of(run) if row.status == FAILED]
    assert [str(folder) in row.seen for folder, row in zip([old, new], bad, strict=True)] == [1, 1]
    assert all('another logdir' in row.hint for row in bad)


def test_what_crashes_left_is_named_once_the_run_is_gone(run):
    root = run / 'checkpoints'
    (root / '.0000000100.tmp').mkdir()
    assert '.0000000100.tmp' in not_ok(run, WARNING).seen
    with lock.Lock(run):
        assert all(row.status == OK for row in rows_of(run))
    (root / '.0000000100.tmp').rmdir()
    (run / 'train_episodes' / 'x.npz.tmp').write_bytes(b'')
    assert 'x.npz.tmp' in not_ok(run, WARNING).seen
    (run / 'train_episodes' / 'x.npz.tmp').unlink()
    (root / '0000000100.damaged').mkdir()
    assert '0000000100.damaged' in not_ok(run, WARNING).seen


def leave_lock(run, **changes):
    owner = {'host': socket.gethostname(), 'pid': os.getpid(), 'token': 'x'}
    owner['start'] = lock.process_start(os.getpid())
    (run / 'lock').write_text(json.dumps({**owner, **changes}))


def test_locks(run):
    with lock.Lock(run):
        row = rows_of(run)[0]
        assert row.status == OK and f'process {os.getpid()} on {socket.gethostname()}' in row.seen
    assert not (run / 'lock').exists()
    ended = subprocess.Popen([sys.executable, '-c', ''])
    ended.wait()
    leave_lock(run, pid=ended.pid)
    row = not_ok(run, WARNING)
    assert f'process {ended.pid}' in row.seen and 'takes it over' in row.hint
    leave_lock(run, host='elsewhere')
    assert rows_of(run)[0].status == OK
    os.utime(run / 'lock', (time.time() - 100,) * 2)
    assert 'elsewhere is gone or silent' in not_ok(run, WARNING).seen
    (run / 'lock').write_text('{"ho')
    row = not_ok(run, WARNING)
    assert str(run / 'lock') in row.seen and str(run / 'lock') in row.hint


def test_a_configuration_with_a_wrong_key(run):
    with open(run / 'config.yaml', 'a') as file:
        file.write('stepz: 3\n')
    row = not_ok(run)
    assert row.check == 'config' and 'stepz' in row.seen and str(run / 'config.yaml') in row.seen
    assert 'checkpoints' in row.hint
    (run / 'config.yaml').unlink()
    assert 'config.yaml is missing' in not_ok(run).seen


def test_a_configuration_that_is_not_the_checkpoints(run):
    config = Config.load(run / 'config.yaml')
    config.update({'discount': 0.5, 'steps': 900}).save(run / 'config.yaml')
    row = not_ok(run, WARNING)
    assert 'discount 0.999 -> 0.5' in row.seen and 'steps' not in row.seen
    assert f'{FRAMES:010d}/config.yaml' in row.hint
    config.update({'action_repeat': 2}).save(run / 'config.yaml')
    row = not_ok(run)
    assert row.check == 'progress' and f'{STEPS} agent steps of 2 frames' in row.seen


def test_finished_or_not(run):
    mark_finished(run, FRAMES, STEPS)
    assert {row.check: row.seen for row in rows_of(run)}[
        'progress'
    ] == f'finished at {FRAMES} frames'
    mark_finished(run, FRAMES + 4, STEPS)
    row = not_ok(run)
    assert f'the newest checkpoint has {FRAMES}' in row.seen
    assert str(run / 'done.json') in row.hint
    (run / 'done.json').write_text('{')
    assert str(run / 'done.json') in not_ok(run).seen


def test_a_checkpoint_that_a_living_run_drops_meanwhile_is_no_damage(run, monkeypatch):
    load = logdir.checkpoint.load
    old = min((run / 'checkpoints').iterdir())

    def load_and_drop(folder):
        if folder == old:
            shutil.rmtree(folder)
        return load(folder)

    monkeypatch.setattr(logdir.checkpoint, 'load', load_and_drop)
    assert all(row.status == OK for row in rows_of(run))


LINES = {
    'no JSON': ('{"step": 99', 'line 9 is not a row'),
    'a bare NaN': ('{"step": 99, "image_loss": NaN}', 'it holds NaN'),
    'a list': ('[1]', 'line 9 is not a row'),
    'no step': ('{"fps": 1}', 'it has no step'),
    'a step in words': ('{"step": "99"}', "its step is '99'"),
    'a falling step': (f'{{"step": {FRAMES - 1}}}', f'step {FRAMES - 1} after {FRAMES}'),
    'a duplicate': (
        f'{{"step": {FRAMES}, "updates": 99}}',
        f'second row of updates at step {FRAMES}',
    ),
    'fewer updates': ('{"step": 99, "updates": 2}', f'2 updates after {STEPS}'),
    'no text': ('\udcff\udcfe', 'line 9 is not a row'),
}


@pytest.mark.parametrize('name', LINES)
def test_metrics_that_cannot_be(run, name):
    line, words = LINES[name]
    with open(run / 'metrics.jsonl', 'a', errors='surrogateescape') as file:
        file.write(line + '\n')
        file.write('{"step": 100, "train_return": 1}\n')
    row = not_ok(run)
    assert row.check == 'metrics' and words in row.seen and 'line 9' in row.seen
    assert str(run / 'metrics.jsonl') in row.seen


def test_half_a_last_line(run):
    with open(run / 'metrics.jsonl', 'a') as file:
        file.write('{"step": 9')
    row = not_ok(run, WARNING)
    assert 'is cut off after 10 bytes' in row.seen
    assert all(row.status == OK for row in metrics.check(run, None, True))


def test_losses_that_were_not_finite(run):
    with open(run / 'metrics.jsonl', 'a') as file:
        file.write('{"step": 99, "updates": 90, "image_loss/1-1": null, "model_grad_norm": null}\n')
    row = not_ok(run, WARNING)
    assert '1 not finite, first image_loss/1-1 at step 99' in row.seen
    assert 'model_opt.lr' in row.hint


def test_missing_metrics_and_provenance(run):
    (run / 'metrics.jsonl').unlink()
    assert str(run / 'metrics.jsonl') in not_ok(run).seen
    (run / 'metrics.jsonl').write_text('')
    (run / 'provenance.json').write_text('{"version": "0.1.0"}')
    row = not_ok(run)
    assert row.check == 'provenance' and str(run / 'provenance.json') in row.seen
    (run / 'provenance.json').unlink()
    assert 'is missing' in not_ok(run).seen


def test_little_room(run, monkeypatch):
    usage = shutil.disk_usage(run)
    monkeypatch.setattr(logdir.shutil, 'disk_usage', lambda path: usage._replace(free=100))
    row = not_ok(run)
    assert row.check == 'space' and str(run) in row.seen and 'make room' in row.hint
    monkeypatch.setattr(logdir.shutil, 'disk_usage', lambda path: usage._replace(free=10**8))
    assert not_ok(run, WARNING).check == 'space'


def test_a_run_that_has_just_begun(run):
    for part in ('checkpoints', 'train_episodes'):
        shutil.rmtree(run / part)
    for part in ('metrics.jsonl', 'provenance.json'):
        (run / part).unlink()
    rows = rows_of(run)
    assert all(row.status == OK for row in rows)
    assert sum('none yet' in row.seen for row in rows) == 4


def test_no_logdir(run, tmp_path):
    with pytest.raises(UsageError, match='does not exist'):
        logdir.find(tmp_path / 'nowhere')
    with pytest.raises(UsageError, match='is a file'):
        logdir.find(run / 'config.yaml')
    with pytest.raises(UsageError, match=f'holds no run .*{run} holds one'):
        logdir.find(tmp_path)


def test_a_logdir_that_may_not_be_read(run, monkeypatch):
    def refuse(path, **options):
        raise PermissionError(13, os.strerror(13))

    monkeypatch.setattr(logdir.Path, 'exists', refuse)
    with pytest.raises(UsageError, match=f'{run} cannot be read: Permission denied'):
        logdir.find(run)
