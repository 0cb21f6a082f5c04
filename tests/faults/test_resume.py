"""The real agent on real levels: stopping and going on changes nothing."""

import shutil
import signal

import numpy as np
import pytest

from dreamerv2.run import checkpoint
from tests.faults import resume

FLAGS = ['--configs', 'mario', 'debug', '--task', 'mario_1-1+1-2', '--steps', '260']
FLAGS += ['--prefill', '100', '--time_limit', '50', '--eval_every', '130', '--save_every', '40']
FLAGS += ['--log_every', '50', '--precision', 'bfloat16']


def test_a_run_that_was_stopped_and_killed_is_the_same_bit_for_bit(tmp_path):
    signals = [signal.SIGTERM, signal.SIGKILL]
    found = resume.compare(tmp_path, FLAGS, stops=2, numbers=signals)
    assert len(found['stops']) == 2, 'it was not stopped twice'
    assert 'the same as an unbroken run: yes' in resume.summary('bfloat16', found)
    assert found['differences'] == []

    # Whether the comparison would see a difference.
    newest = checkpoint.find(tmp_path / 'parts')
    shutil.copytree(tmp_path / 'parts', tmp_path / 'other')
    arrays = newest.arrays()
    name = 'parameters/rssm/img_in/kernel'
    arrays[name] = np.nextafter(arrays[name], np.inf)
    content = {path.name: path.read_bytes() for path in newest.path.iterdir()}
    files = {k: v for k, v in content.items() if k.endswith(('.npz', '.yaml')) or 'prov' in k}
    root = tmp_path / 'other' / 'checkpoints'
    shutil.rmtree(root)
    checkpoint.save(root, newest.frames, arrays=arrays, state=newest.state, files=files)
    assert resume.differences(tmp_path / 'straight', tmp_path / 'other') == [name]


def test_a_run_that_was_never_interrupted_is_no_result(monkeypatch, capsys):
    found = {'stops': [], 'differences': [], 'share': 1.0, 'seconds': 1.0}
    monkeypatch.setattr(resume, 'compare', lambda *args, **kwargs: found)
    assert resume.main(['--precision', 'float32']) == 1
    assert 'never interrupted' in capsys.readouterr().out


def test_a_run_that_crashes_is_no_result(tmp_path):
    with pytest.raises(RuntimeError, match='ended with 2'):
        resume.compare(tmp_path, ['--configs', 'nowhere'], stops=1)
