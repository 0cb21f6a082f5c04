"""Paths with a home folder, and life without one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dreamerv2.errors import UsageError
from dreamerv2.paths import expand_home
from dreamerv2.run import devices

ROOT = Path(__file__).resolve().parents[1]

# As in a container whose user has no entry in its list of users: one start after another.
HOMELESS = """
import os, pwd, sys
os.environ.pop('HOME'), os.environ.pop('XDG_CACHE_HOME', None)
def nobody(*unused):
    raise KeyError('no such user')
pwd.getpwuid = pwd.getpwnam = nobody
import dreamerv2.api, dreamerv2.doctor.installation, dreamerv2.evaluate, dreamerv2.train
from dreamerv2.run import devices
devices.reuse_xla_programs(devices.xla_cache())
assert 'TF_XLA_FLAGS' not in os.environ and devices.xla_cache() is None
print(dreamerv2.api.defaults.logdir, dreamerv2.api.defaults.update({'logdir': '/data/x'}).logdir)
for argv in ([], ['--dry_run', 'True'], ['--logdir', '~nobody/x']):
    assert dreamerv2.train.main(argv) == 2
assert dreamerv2.evaluate.main(['~/logdir/x']) == 2
assert 'tensorflow' not in sys.modules
"""


def test_without_a_home_folder(tmp_path):
    env = {**os.environ, 'PYTHONPATH': str(ROOT), 'HOME': str(tmp_path)}
    env.pop('TF_XLA_FLAGS', None)
    command = [sys.executable, '-c', HOMELESS]
    done = subprocess.run(command, env=env, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == '~/logdir/mario_1-1/0 /data/x\n'
    lines = done.stderr.splitlines()
    assert len(lines) == 4 and all('no such home folder here' in line for line in lines)
    assert lines[2].startswith('~nobody/x: ')
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    'command',
    [
        ['-m', 'dreamerv2.analysis.plot'],
        ['-m', 'dreamerv2.world_model'],
        ['experiments/figures.py'],
        ['experiments/report.py'],
        ['experiments/status.py'],
        ['experiments/videos.py'],
    ],
)
def test_commands_say_that_there_is_no_such_home(command, tmp_path):
    env = {**os.environ, 'PYTHONPATH': str(ROOT)}
    command = [sys.executable, *command, '~nobody_of_this_name/x']
    done = subprocess.run(command, env=env, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
    assert '~nobody_of_this_name/x: there is no such home folder here' in done.stderr


def test_a_home_folder(monkeypatch, tmp_path):
    monkeypatch.setenv('HOME', str(tmp_path))
    assert expand_home('~/x') == tmp_path / 'x'
    assert expand_home('/x/~') == Path('/x/~')
    with pytest.raises(UsageError, match='no such home folder'):
        expand_home('~nobody_of_this_name/x')


def test_a_cache_that_cannot_be_written_to_is_left_out(monkeypatch, tmp_path):
    monkeypatch.delenv('TF_XLA_FLAGS', raising=False)
    monkeypatch.setattr(os, 'access', lambda path, mode: False)
    devices.reuse_xla_programs(tmp_path)
    (tmp_path / 'file').touch()
    devices.reuse_xla_programs(tmp_path / 'file' / 'cache')
    assert 'TF_XLA_FLAGS' not in os.environ
