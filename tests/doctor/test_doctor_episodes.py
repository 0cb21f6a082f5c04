"""Episode files that are damaged, lost or not of this run."""

import os
import shutil

import numpy as np
import pytest
from doctor_runs import LENGTHS, STEPS, add_episode, episode_files, flip, not_ok, rows_of

from dreamerv2.config import Config
from dreamerv2.doctor import episodes
from dreamerv2.doctor.rows import FAILED, OK, WARNING
from dreamerv2.replay import Replay, disk


def rewrite(file, **changes):
    """An episode file with some arrays in place of its own."""
    with np.load(file.path) as archive:
        arrays = dict(archive)
    np.savez_compressed(file.path, **{**arrays, **changes})


def test_a_truncated_episode(run):
    file = episode_files(run)[1].path
    os.truncate(file, file.stat().st_size - 40)
    row = not_ok(run)
    assert row.check == 'episodes' and str(file) in row.seen and 'copy' in row.hint


@pytest.mark.parametrize('place', [0.3, 0.5, 0.7])
def test_a_flipped_byte_in_an_episode(run, place):
    file = episode_files(run)[2].path
    flip(file, place)
    assert str(file) in not_ok(run).seen


def test_many_bad_episodes_are_told_in_few_rows(run):
    replay = Replay(run / 'train_episodes')
    for seed in range(20):
        add_episode(replay, 1, seed)
    replay.close()
    for file in episode_files(run)[:20]:
        file.path.write_bytes(b'no archive')
    rows = [row for row in rows_of(run) if row.check == 'episodes' and row.status == FAILED]
    assert len(rows) == 6 and '15 more' in rows[-1].seen


ODD = {
    'other keys': {'speed': np.zeros(4, np.float32)},
    'other shape': {'image': np.zeros((4, 9, 8, 1), np.uint8)},
    'not finite': {'reward': np.array([0, 1, np.nan, 3], np.float32)},
    'no end': {'is_last': np.zeros(4, bool)},
    'two beginnings': {'is_first': np.array([1, 0, 1, 0], bool)},
    'a death in the middle': {'is_terminal': np.array([0, 1, 0, 1], bool)},
    'another level': {'level': np.full(4, 3, np.int32)},
    'fewer rows': {'action': np.zeros((2, 3), np.float32)},
    'objects': {'reward': np.array([None] * 4)},
}


@pytest.mark.parametrize('name', ODD)
def test_an_episode_with_impossible_content(run, name):
    file = episode_files(run)[1]
    assert file.rows == 4
    rewrite(file, **ODD[name])
    row = not_ok(run)
    assert row.check == 'episodes' and str(file.path) in row.seen


def test_a_lone_array_under_an_episodes_name(run):
    file = episode_files(run)[1]
    with open(file.path, 'wb') as stream:
        np.save(stream, np.zeros(3))
    assert str(file.path) in not_ok(run).seen


def test_lost_episodes(run):
    file = episode_files(run)[1]
    file.path.unlink()
    row = not_ok(run)
    assert row.check == 'counts' and '1 missing, number 1' in row.seen
    assert f'{len(LENGTHS)} episodes, {STEPS} steps' in row.seen
    assert str(run / 'train_episodes') in row.hint
    for file in episode_files(run):
        file.path.unlink()
    assert '4 missing, number 0, 1, 2, 3' in not_ok(run).seen
    shutil.rmtree(run / 'train_episodes')
    row = not_ok(run)
    assert row.check == 'episodes' and 'train_episodes is missing' in row.seen


def test_the_first_may_be_gone_when_the_replay_is_full(run):
    episode_files(run)[0].path.unlink()
    assert not_ok(run).check == 'counts'
    config = Config.load(run / 'config.yaml')
    config.update({'replay.capacity': STEPS - 3}).save(run / 'config.yaml')
    (row,) = [row for row in rows_of(run) if row.check == 'counts']
    assert row.status == OK and f'3 episodes, {STEPS - LENGTHS[0]} steps on disk' in row.seen


def test_one_that_was_put_into_quarantine_is_not_lost(run):
    disk.move_aside(episode_files(run)[1], 'quarantine')
    (row,) = [row for row in rows_of(run) if row.check == 'counts']
    assert row.status == OK and '3 episodes' in row.seen


def test_newer_episodes_are_counted_apart(run):
    replay = Replay(run / 'train_episodes')
    add_episode(replay, 6)
    replay.close()
    (row,) = [row for row in rows_of(run) if row.check == 'counts']
    assert row.status == OK and row.seen.endswith('as the checkpoint counts; 1 since then')


def test_an_episode_of_another_run_under_the_same_number(run):
    file = episode_files(run)[1]
    shutil.copy(file.path, file.path.with_name('20200101T000000-000000002-4.npz'))
    row = not_ok(run)
    assert row.check == 'counts' and '20200101T000000-000000002-4.npz' in row.seen
    shutil.move(
        file.path.with_name('20200101T000000-000000002-4.npz'), file.path.with_name('a.npz')
    )
    row = not_ok(run, WARNING)
    assert row.check == 'episodes' and 'a.npz' in row.seen


def test_one_that_a_living_run_drops_meanwhile_is_no_damage(run, monkeypatch):
    read, (first, *_) = disk.read_episode, episode_files(run)

    def read_and_drop(file):
        if file == first:
            first.path.unlink()
        return read(file)

    monkeypatch.setattr(disk, 'read_episode', read_and_drop)
    rows = episodes.check(run, None, True, None)
    assert [row.status for row in rows] == [OK, OK] and rows[0].seen.startswith('3 files')
