"""Checkpoints: whole or not there, verified, and never at the cost of an older one."""

import dataclasses
import errno
import json
import os

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st

from dreamerv2.durable import seal, sha256, unseal
from dreamerv2.errors import DiskFullError, UsageError
from dreamerv2.run import checkpoint
from dreamerv2.run.checkpoint import tensors

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


@pytest.mark.parametrize('keep', [1, 2, 3, 4, 0])
def test_so_many_are_kept(tmp_path, keep):
    for number in range(1, 6):
        write(tmp_path, number, keep=keep)
        assert len(names(tmp_path)) == (min(number, keep) if keep else number)


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
    checkpoint.tidy(tmp_path, loaded)
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


@pytest.mark.parametrize('crash', ['mkdir', 'write_new', 'fsync_folder', 'rename'])
def test_a_crash_while_writing_leaves_the_old_one(tmp_path, monkeypatch, crash):
    write(tmp_path, 100, 1)

    def fail(*args, **kwargs):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os if crash in ('mkdir', 'rename') else checkpoint, crash, fail)
        with pytest.raises(DiskFullError, match=r'0000000200 .*\d+ bytes needed, \d+ free.*room'):
            write(tmp_path, 200, 2, keep=1)
    assert [path.name for path in tmp_path.iterdir() if path.name[0] == '.'] == []
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
        patch.setattr(os, 'rename', crash_after_first)
        with pytest.raises(KeyboardInterrupt):
            write(tmp_path, 100, 2)
    assert names(tmp_path) == []
    checkpoint.restore_replaced(tmp_path)
    assert checkpoint.load_newest(tmp_path).arrays()['value'] == 1


def test_the_best_is_kept_until_there_is_a_better_one(tmp_path):
    root = tmp_path / 'checkpoints'
    for frames, score in ((100, 3.0), (200, 7.5), (300, None), (400, 7.0), (500, float('nan'))):
        write(root, frames, score=score)
    assert names(root) == ['0000000200', '0000000400', '0000000500']
    assert checkpoint.find(tmp_path, 'best').frames == 200
    assert checkpoint.find(tmp_path, 'best').score == 7.5
    assert checkpoint.find(tmp_path).frames == 500 and checkpoint.find(tmp_path).score is None
    write(root, 600, score=7.5)
    write(root, 700, score=0)
    assert names(root) == ['0000000600', '0000000700']


def test_of_several_numbers_the_first_that_differs_decides(tmp_path):
    root = tmp_path / 'checkpoints'
    write(root, 50, score=9000.0, keep=0)  # A return alone, from an earlier version.
    scores = {100: (0.0, 0.9, 900.0), 200: (0.5, 0.2, 100.0), 300: (0.5, 0.2, 99.0)}
    for frames, score in scores.items():
        write(root, frames, score=score, keep=0)
    write(root, 400, score=(0.5, float('nan'), 0.0), keep=0)
    assert [int(path.name) for path in checkpoint.by_score(root)] == [200, 300, 100, 50]
    assert checkpoint.load_best(root).score == scores[200]
    write(root, 500, score=(1.0, 1.0, 10.0), keep=1)
    assert names(root) == ['0000000500']


@pytest.mark.parametrize('score', [[], ['1'], [1, None], {'a': 1}, 'x'])
def test_a_score_that_is_no_number_is_damage(tmp_path, score):
    path = write(tmp_path, 100)
    manifest = dataclasses.replace(checkpoint.read_manifest(path), score=score)
    (path / 'manifest.json').write_bytes(manifest.to_bytes())
    with pytest.raises(checkpoint.DamagedCheckpointError):
        checkpoint.read_manifest(path)


def test_a_score_may_come_later(tmp_path):
    for frames in (100, 200):
        write(tmp_path, frames)
    assert checkpoint.by_score(tmp_path) == []
    checkpoint.record_score(tmp_path, 100, 5)
    checkpoint.record_score(tmp_path, 200, -5)
    for frames in (300, 400):
        write(tmp_path, frames)
    assert names(tmp_path) == ['0000000100', '0000000300', '0000000400']
    write(tmp_path, 400, score=6)  # Nothing new but the score.
    write(tmp_path, 500)
    assert names(tmp_path) == ['0000000400', '0000000500']
    assert checkpoint.load_best(tmp_path).score == 6


def test_a_damaged_best_is_named_and_the_next_best_taken(tmp_path):
    root, said = tmp_path / 'checkpoints', []
    with pytest.raises(UsageError, match='no intact checkpoint with an evaluation'):
        write(root, 50)
        checkpoint.find(tmp_path, 'best')
    write(root, 100, score=1, keep=0)
    flip(write(root, 200, score=2, keep=0) / 'agent.safetensors')
    flip(write(root, 300, score=3, keep=0) / 'manifest.json')
    assert checkpoint.find(tmp_path, 'best', said.append).frames == 100
    assert len(said) == 1 and '0000000200' in said[0]


def reseal(path, change):
    """Changes a manifest as somebody would who wants it to be believed."""
    document = unseal((path / 'manifest.json').read_bytes())
    change(document)
    (path / 'manifest.json').write_bytes(seal(document))


@pytest.mark.parametrize('name', ['../secret', '/etc/hostname', '..', 'a/../../secret', 'a\\b', ''])
def test_names_do_not_lead_out_of_the_folder(tmp_path, name):
    path = write(tmp_path, 100)
    (tmp_path / 'secret').write_text('')
    entry = {'bytes': 0, 'sha256': sha256(tmp_path / 'secret')}
    reseal(path, lambda document: document['files'].update({name: entry}))
    with pytest.raises(checkpoint.DamagedCheckpointError, match='not the name of a file in it'):
        checkpoint.load(path)


def test_links_do_not_lead_out_of_the_folder(tmp_path):
    path = write(tmp_path / 'a', 100)
    (path / 'config.yaml').rename(tmp_path / 'elsewhere')
    (path / 'config.yaml').symlink_to(tmp_path / 'elsewhere')
    with pytest.raises(checkpoint.DamagedCheckpointError, match='config.yaml is a link'):
        checkpoint.load(path)


@pytest.mark.parametrize(
    'header', [b'', (1 << 62).to_bytes(8, 'little'), b'\x02\0\0\0\0\0\0\0{}' + bytes(9)]
)
def test_array_headers_are_bounded_by_the_file(tmp_path, header):
    path = write(tmp_path, 100)
    (path / 'agent.safetensors').write_bytes(header)
    claim(path)
    with pytest.raises(checkpoint.DamagedCheckpointError, match='agent.safetensors cannot be read'):
        checkpoint.load(path)


def test_arrays_larger_than_the_file_are_refused(tmp_path):
    path = write(tmp_path, 100)
    size = 1 << 50
    claims = {'a': {'dtype': 'F32', 'shape': [size], 'data_offsets': [0, 4 * size]}}
    text = json.dumps(claims).encode()
    (path / 'agent.safetensors').write_bytes(len(text).to_bytes(8, 'little') + text + bytes(64))
    claim(path)
    with pytest.raises(checkpoint.DamagedCheckpointError, match='agent.safetensors cannot be read'):
        checkpoint.load(path)


def claim(path):
    """Has the manifest say that the arrays are what was written."""
    file = path / 'agent.safetensors'
    entry = {'bytes': file.stat().st_size, 'sha256': sha256(file)}
    reseal(path, lambda document: document['files'].update({file.name: entry}))


@pytest.mark.parametrize('text', [b'[' * 100_000, b'{"a": ' * 100_000])
def test_json_without_end_is_damage(tmp_path, text):
    path = write(tmp_path, 100)
    (path / 'manifest.json').write_bytes(text)
    with pytest.raises(checkpoint.DamagedCheckpointError, match='manifest.json cannot be read'):
        checkpoint.load(path)


def test_a_manifest_of_the_first_format_is_read(tmp_path):
    path = write(tmp_path, 100)
    document = json.loads((path / 'manifest.json').read_text())
    del document['sha256'], document['score']
    (path / 'manifest.json').write_text(json.dumps({**document, 'format': 1}))
    assert checkpoint.load(path).frames == 100
    (path / 'manifest.json').write_text(json.dumps({**document, 'format': 3}))
    with pytest.raises(checkpoint.DamagedCheckpointError, match='format 3'):
        checkpoint.load(path)


def test_a_renamed_checkpoint_is_not_of_another_step(tmp_path):
    write(tmp_path, 100).rename(tmp_path / '0000000200')
    with pytest.raises(checkpoint.DamagedCheckpointError, match='is a checkpoint of 100 frames'):
        checkpoint.load(tmp_path / '0000000200')


@given(
    st.dictionaries(
        st.text(max_size=8),
        st.tuples(
            st.sampled_from(sorted(tensors._TYPES)),
            st.lists(st.integers(0, 3), max_size=3),
            st.booleans(),
        ),
        max_size=5,
    )
)
@settings(max_examples=50, deadline=None)
def test_the_library_reads_the_arrays_that_are_written(tmp_path_factory, specs):
    arrays = {}
    for name, (dtype, shape, transposed) in specs.items():
        array = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype)
        arrays[name] = array.T if transposed else array
    path = tmp_path_factory.mktemp('arrays') / 'a.safetensors'
    path.write_bytes(b''.join(map(bytes, tensors.chunks(arrays))))
    assert path.stat().st_size <= tensors.size_of(arrays) + 100
    read = safetensors.numpy.load_file(path)
    assert set(read) == set(arrays)
    for name, array in arrays.items():
        assert read[name].dtype == array.dtype and read[name].shape == array.shape
        np.testing.assert_array_equal(read[name], array)


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


def test_a_path_into_a_logdir_names_what_to_give(tmp_path):
    checkpoint.save(tmp_path / 'checkpoints', 100, arrays={}, state={}, files={'config.yaml': b''})
    inside = tmp_path / 'checkpoints' / '0000000100'
    for path in (inside, inside / 'manifest.json'):
        with pytest.raises(UsageError, match=f'give the logdir {tmp_path}, and its step 100'):
            checkpoint.find(path)
    for path in (tmp_path / 'checkpoints', tmp_path / 'config.yaml'):
        with pytest.raises(UsageError, match=f'give the logdir {tmp_path}.$'):
            checkpoint.find(path)
    assert checkpoint.find(tmp_path).frames == 100
