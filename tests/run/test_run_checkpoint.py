"""Checkpoints: whole or not there, verified, and never at the cost of an older one."""

import json
import os

import numpy as np
import pytest

from dreamerv2.errors import UsageError
from dreamerv2.run import checkpoint

ARRAYS = {
    'parameters/kernel': np.arange(12, dtype=np.float32).reshape(3, 4).T,
    'model_opt/updates': np.array(7, np.int64),
    'flag': np.array(True),
    'half': np.ones(3, np.float16),
}


def write(root, frames, value=0, **options):
    return checkpoint.save(
        root,
        frames,
        arrays={**ARRAYS, 'value': np.array(value, np.int64)},
        state={'progress': {'step': frames // 4, 'value': value}, 'random': {'state': 2**100}},
        files={'config.yaml': b'seed: 1\n', 'provenance.json': b'{}'},
        **options,
    )


def names(root):
    return [path.name for path in checkpoint.available(root)]


def test_round_trip(tmp_path):
    path = write(tmp_path, 400)
    assert path.name == '0000000400'
    loaded = checkpoint.load(path)
    assert loaded.frames == 400
    assert loaded.state['progress'] == {'step': 100, 'value': 0}
    assert loaded.state['random']['state'] == 2**100
    assert loaded.config_path.read_text() == 'seed: 1\n'
    arrays = loaded.arrays()
    assert set(arrays) == {*ARRAYS, 'value'}
    for name, expected in ARRAYS.items():
        assert arrays[name].dtype == expected.dtype and arrays[name].shape == expected.shape
        assert (arrays[name] == expected).all()
    manifest = json.loads((path / 'manifest.json').read_text())
    assert set(manifest['files']) == {p.name for p in path.iterdir()} - {'manifest.json'}


def test_the_newest_are_kept_and_marked_ones(tmp_path):
    write(tmp_path, 100)
    (tmp_path / '0000000100' / 'keep').touch()
    for frames in (200, 300, 400):
        write(tmp_path, frames, keep=2)
    assert names(tmp_path) == ['0000000100', '0000000300', '0000000400']
    assert checkpoint.load(tmp_path / '0000000100').frames == 100


def flip(file):
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


DAMAGES = {
    'changed arrays': lambda path: flip(path / 'agent.safetensors'),
    'short arrays': lambda path: os.truncate(path / 'agent.safetensors', 100),
    'no arrays': lambda path: (path / 'agent.safetensors').unlink(),
    'changed state': lambda path: flip(path / 'state.json'),
    'no manifest': lambda path: (path / 'manifest.json').unlink(),
    'half a manifest': lambda path: os.truncate(path / 'manifest.json', 20),
    'empty manifest': lambda path: (path / 'manifest.json').write_text('{}'),
    'other manifest': lambda path: (path / 'manifest.json').write_text('[1]'),
}


@pytest.mark.parametrize('damage', DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_one_is_named_and_the_one_before_taken(tmp_path, damage):
    write(tmp_path, 100, 1)
    damage(write(tmp_path, 200, 2))
    said = []
    loaded = checkpoint.load_newest(tmp_path, said.append)
    assert loaded.frames == 100
    assert loaded.arrays()['value'] == 1
    assert len(said) == 1 and '0000000200' in said[0] and '\n' not in said[0]
    assert names(tmp_path) == ['0000000100', '0000000200']
    checkpoint.load_newest(tmp_path, said.append, set_aside=True)
    assert names(tmp_path) == ['0000000100']
    assert (tmp_path / '0000000200.damaged').is_dir()
    write(tmp_path, 200, 3)
    assert checkpoint.load_newest(tmp_path).arrays()['value'] == 3


def test_all_damaged_is_no_fresh_start(tmp_path):
    DAMAGES['changed arrays'](write(tmp_path, 100))
    with pytest.raises(UsageError, match='damaged'):
        checkpoint.load_newest(tmp_path, lambda line: None)


def test_none_is_none(tmp_path):
    assert checkpoint.load_newest(tmp_path / 'checkpoints') is None


@pytest.mark.parametrize('crash', ['save_file', 'write_durably', 'rename'])
def test_a_crash_while_writing_leaves_the_old_one(tmp_path, monkeypatch, crash):
    write(tmp_path, 100, 1)

    def fail(*args, **kwargs):
        raise OSError('no space left')

    with monkeypatch.context() as patch:
        if crash == 'save_file':
            patch.setattr(checkpoint.safetensors.numpy, 'save_file', fail)
        elif crash == 'write_durably':
            patch.setattr(checkpoint, 'write_durably', fail)
        else:
            patch.setattr(checkpoint.os, 'rename', fail)
        with pytest.raises(OSError):
            write(tmp_path, 200, 2, keep=1)
    assert checkpoint.load_newest(tmp_path).frames == 100
    write(tmp_path, 200, 2, keep=1)
    assert names(tmp_path) == ['0000000200']
    assert sorted(path.name for path in tmp_path.iterdir()) == ['0000000200']


def test_writing_the_same_again_changes_nothing(tmp_path):
    path = write(tmp_path, 100, 1)
    inode = (path / 'manifest.json').stat().st_ino
    write(tmp_path, 100, 1)
    assert (path / 'manifest.json').stat().st_ino == inode
    write(tmp_path, 100, 2)
    assert checkpoint.load(path).arrays()['value'] == 2


def test_a_crash_while_replacing_loses_nothing(tmp_path, monkeypatch):
    write(tmp_path, 100, 1)
    rename = os.rename

    def crash_after_first(source, target):
        rename(source, target)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint.os, 'rename', crash_after_first)
        with pytest.raises(KeyboardInterrupt):
            write(tmp_path, 100, 2)
    assert names(tmp_path) == []
    assert checkpoint.load_newest(tmp_path, set_aside=True).arrays()['value'] == 1


def test_find_names_what_is_wrong(tmp_path):
    with pytest.raises(UsageError, match='does not exist'):
        checkpoint.find(tmp_path / 'nowhere')
    (tmp_path / 'file').write_text('')
    with pytest.raises(UsageError, match='is a file'):
        checkpoint.find(tmp_path / 'file')
    with pytest.raises(UsageError, match='no checkpoint'):
        checkpoint.find(tmp_path)
    path = write(tmp_path / 'checkpoints', 100)
    assert checkpoint.find(tmp_path).frames == checkpoint.find(tmp_path, 100).frames == 100
    with pytest.raises(UsageError, match='no checkpoint at step 50: there are 100'):
        checkpoint.find(tmp_path, 50)
    flip(path / 'agent.safetensors')
    with pytest.raises(UsageError, match='[Dd]amaged'):
        checkpoint.find(tmp_path, 100)
    with pytest.raises(UsageError, match='[Dd]amaged'):
        checkpoint.find(tmp_path, say=lambda line: None)
