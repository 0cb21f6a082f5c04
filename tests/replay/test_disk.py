"""Episode files: whole or not there, and damage is named."""

import errno
import io
import logging
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from replay_model import ListModel, make_row

from dreamerv2.errors import DiskFullError, StorageError, UsageError
from dreamerv2.replay import Replay


def fill(directory, lengths=(10, 20, 30), **options):
    replay = Replay(directory, **options)
    model = ListModel()
    for rows in lengths:
        model.add_rows(replay, rows, 'terminated')
    replay.close()
    return replay, model


def test_names_sort_by_time_and_tell_serial_and_rows(tmp_path):
    fill(tmp_path)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert [name.split('-')[1:] for name in names] == [
        ['000000000', '10.npz'],
        ['000000001', '20.npz'],
        ['000000002', '30.npz'],
    ]
    assert all(len(name.split('-')[0]) == len('20240131T235959') for name in names)


def test_files_are_readable_with_numpy_and_hold_the_logs(tmp_path):
    replay = Replay(tmp_path)
    for i in range(4):
        row = {**make_row(i + 1, i == 0, i == 3, i == 3), 'log_prefill': True}
        if i:
            row['log_completed'] = i == 3
        replay.add_step(row)
    replay.close()
    (path,) = tmp_path.glob('*.npz')
    with np.load(path, allow_pickle=False) as arrays:
        assert arrays['image'].shape == (4, 6, 5, 2)
        assert arrays['log_prefill'].dtype == bool
        assert arrays['log_prefill'].all()
        assert list(arrays['log_completed']) == [False, False, False, True]
        assert list(arrays['log_x']) == [2, 4, 6, 8]
    assert not [key for key in Replay(tmp_path).sample(1, 4) if key.startswith('log_')]


DAMAGES = ['empty', 'half', 'flipped', 'other', 'renamed', 'link', 'bomb', 'missing key']


def bomb(rows):
    """A small file with the right checksums whose image is 20 GB."""
    entry = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        entry, {'descr': '|u1', 'fortran_order': False, 'shape': (rows, 10**9)}
    )
    file = io.BytesIO()
    with zipfile.ZipFile(file, 'w', zipfile.ZIP_DEFLATED) as archive:
        archive.writestr('image.npy', entry.getvalue())
    return file.getvalue()


@pytest.mark.parametrize('damage', DAMAGES)
def test_a_damaged_file_is_named_and_moved_to_quarantine(tmp_path, caplog, damage):
    fill(tmp_path)
    path = sorted(tmp_path.glob('*.npz'))[1]
    content = path.read_bytes()
    if damage == 'empty':
        path.write_bytes(b'')
    elif damage == 'half':
        path.write_bytes(content[: len(content) // 2])
    elif damage == 'flipped':
        middle = content.index(b'image.npy') + 100
        path.write_bytes(content[:middle] + bytes([content[middle] ^ 255]) + content[middle + 1 :])
    elif damage == 'other':
        path.write_bytes(b'no archive at all' * 10)
    elif damage == 'renamed':
        path = path.rename(path.with_name(path.name.replace('-20.npz', '-21.npz')))
    elif damage == 'link':
        path.rename(tmp_path / 'elsewhere')
        path.symlink_to(tmp_path / 'elsewhere')
    elif damage == 'bomb':
        path.write_bytes(bomb(20))
    else:
        with np.load(path) as arrays:
            rest = {key: value for key, value in arrays.items() if key != 'reward'}
        np.savez(path, **rest)
    with caplog.at_level(logging.WARNING):
        replay = Replay(tmp_path)
    assert replay.stats['loaded_episodes'] == replay.stats['total_episodes'] == 2
    assert replay.stats['loaded_steps'] == replay.stats['total_steps'] == 38
    (message,) = caplog.messages
    assert str(path) in message
    assert '\n' not in message
    assert not path.exists()
    assert os.path.lexists(tmp_path / 'quarantine' / path.name)
    replay.sample(4, 10)
    ListModel().add_rows(replay, 3, 'terminated')
    replay.close()
    assert sorted(p.name.split('-')[1] for p in tmp_path.glob('*.npz'))[-1] == '000000003'


def test_quarantined_files_do_not_overwrite_each_other(tmp_path):
    fill(tmp_path)
    names = [path.name for path in sorted(tmp_path.glob('*.npz'))]
    for content in (b'one', b'two', b'three'):
        (tmp_path / names[1]).write_bytes(content)
        assert Replay(tmp_path).stats['loaded_episodes'] == 2
    kept = sorted(path.read_bytes() for path in (tmp_path / 'quarantine').iterdir())
    assert kept == [b'one', b'three', b'two']


def test_older_files_take_the_place_of_damaged_ones(tmp_path):
    fill(tmp_path, (11, 11, 11, 11))
    paths = sorted(tmp_path.glob('*.npz'))
    for path in (paths[0], paths[3]):
        path.write_bytes(path.read_bytes()[:-1])
    replay = Replay(tmp_path, capacity=10, keep_on_disk=True)
    assert [episode.serial for episode in replay.episodes()] == [2]
    assert replay.stats['total_episodes'] == 2 and replay.stats['total_steps'] == 20
    assert sorted(tmp_path.glob('*.npz')) == paths[1:3]
    assert len(list((tmp_path / 'quarantine').iterdir())) == 2


def test_what_cannot_be_moved_is_named_and_left_out(tmp_path, caplog):
    fill(tmp_path)
    path = sorted(tmp_path.glob('*.npz'))[1]
    path.write_bytes(b'')
    (tmp_path / 'quarantine').write_text('')
    assert Replay(tmp_path).stats['total_episodes'] == 2
    assert (
        len(caplog.messages) == 1 and str(path) in caplog.text and 'moving it failed' in caplog.text
    )


def test_foreign_files_are_left_alone(tmp_path, caplog):
    fill(tmp_path)
    (tmp_path / 'notes.txt').write_text('mine')
    np.savez(tmp_path / 'mine.npz', a=np.zeros(3))
    with caplog.at_level(logging.WARNING):
        assert Replay(tmp_path).stats['loaded_episodes'] == 3
    assert 'mine.npz' in caplog.text
    assert (tmp_path / 'mine.npz').exists() and (tmp_path / 'notes.txt').exists()


def test_episodes_with_other_observations_are_named_and_skipped(tmp_path, caplog):
    fill(tmp_path)
    path = sorted(tmp_path.glob('*.npz'))[0]
    with np.load(path) as arrays:
        changed = {**arrays, 'image': np.zeros((10, 6, 5, 1), np.uint8)}
    np.savez(path, **changed)
    with caplog.at_level(logging.WARNING):
        replay = Replay(tmp_path)
    assert replay.stats['loaded_episodes'] == 2
    assert 'image is uint8[6, 5, 1] in place of uint8[6, 5, 2]' in caplog.text


def test_leftovers_of_interrupted_writes_are_removed(tmp_path):
    fill(tmp_path)
    leftover = tmp_path / '20240131T235959-000000003-12.npz.tmp'
    leftover.write_bytes(b'half')
    assert Replay(tmp_path).stats['loaded_episodes'] == 3
    assert not leftover.exists()


def test_a_write_that_fails_leaves_nothing_and_loses_nothing(tmp_path, monkeypatch):
    replay, model = Replay(tmp_path), ListModel()
    model.add_rows(replay, 10, 'terminated')
    replay.flush()

    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, 'fsync', full)
        model.add_rows(replay, 20, 'terminated')
        with pytest.raises(DiskFullError, match=r'No space left on device.*make room') as caught:
            replay.flush()
        assert caught.value.errno == errno.ENOSPC
        assert '000000001-20.npz' in str(caught.value)
        assert re.search(r'\(\d+ bytes needed, \d+ free\)', str(caught.value))
        assert '\n' not in str(caught.value)
        with pytest.raises(DiskFullError, match='1 unsaved'):
            replay.get_state()
        replay._archive._writer.wait()  # The write is tried again at once, and must fail once more.
        assert [path.name[-7:] for path in tmp_path.glob('*.npz')] == ['-10.npz']
    assert replay.stats['loaded_episodes'] == 2
    replay.sample(4, 10)
    replay.flush()
    assert sorted(path.name[-7:] for path in tmp_path.glob('*.npz')) == ['-10.npz', '-20.npz']

    model.add_rows(replay, 30, 'terminated')
    replay.close()
    assert not list(tmp_path.glob('*.tmp'))
    assert Replay(tmp_path).stats['loaded_steps'] == 57


def test_add_step_reports_a_failed_write_without_taking_the_step(tmp_path, monkeypatch):
    replay, model = Replay(tmp_path), ListModel()
    with monkeypatch.context() as patch:
        patch.setattr(os, 'replace', lambda *_: (_ for _ in ()).throw(OSError(5, '')))
        model.add_rows(replay, 10, 'terminated')
        replay._archive._writer.wait()
        with pytest.raises(StorageError, match='Input/output error'):
            replay.add_step(make_row(11, True, False, False))
        replay._archive._writer.wait()
    assert replay.stats['partial_steps'] == 0
    replay.flush()
    model.add_rows(replay, 5, 'terminated')
    replay.close()
    assert Replay(tmp_path).stats['loaded_episodes'] == 2


def test_the_interpreter_waits_for_pending_writes(tmp_path):
    program = """
import sys
from replay_model import ListModel
from dreamerv2.replay import Replay
replay, model = Replay(sys.argv[1]), ListModel()
for _ in range(20):
    model.add_rows(replay, 50, 'terminated')
"""
    paths = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    environment = {**os.environ, 'PYTHONPATH': paths}
    subprocess.run(
        [sys.executable, '-c', program, str(tmp_path)], check=True, env=environment, timeout=60
    )
    assert Replay(tmp_path).stats['loaded_steps'] == 20 * 49


@pytest.mark.parametrize('keep', [False, True])
def test_eviction_on_disk(tmp_path, keep):
    fill(tmp_path, (30, 30, 30, 30, 30), capacity=60, keep_on_disk=keep)
    serials = sorted(int(path.name.split('-')[1]) for path in tmp_path.glob('*.npz'))
    assert serials == ([0, 1, 2, 3, 4] if keep else [3, 4])
    again = Replay(tmp_path, capacity=60, keep_on_disk=keep)
    assert again.stats['loaded_episodes'] == 2
    assert again.stats['total_episodes'] == len(serials)


def test_only_the_newest_up_to_the_capacity_are_loaded(tmp_path):
    fill(tmp_path, (31, 11, 21, 6))
    for capacity, loaded in ((0, 65), (65, 65), (64, 35), (35, 35), (34, 25), (6, 5), (1, 5)):
        assert Replay(tmp_path, capacity=capacity).stats['loaded_steps'] == loaded
    assert len(list(tmp_path.glob('*.npz'))) == 4


def test_level_names_are_kept_beside_the_replay(tmp_path):
    fill(tmp_path, levels=['3-1', '3-2'])
    assert Replay(tmp_path).levels == ['3-1', '3-2']
    assert Replay(tmp_path, levels=['3-1', '3-2']).levels == ['3-1', '3-2']
    with pytest.raises(UsageError, match=r'1-1.*another logdir'):
        Replay(tmp_path, levels=['1-1'])


def test_a_directory_that_is_a_file(tmp_path):
    path = tmp_path / 'file'
    path.write_text('')
    for directory in (path, path / 'episodes'):
        with pytest.raises(UsageError, match='not a directory'):
            Replay(directory)
