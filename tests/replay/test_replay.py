"""Collecting steps, counting them, and going on from a checkpoint."""

import json
import threading

import numpy as np
import pytest
from replay_model import ListModel, check_window, make_row

from dreamerv2.errors import UsageError
from dreamerv2.replay import Replay


def rows_of(replay, number):
    return [
        tuple(batch['reward'].ravel()) for batch in (replay.sample(4, 10) for _ in range(number))
    ]


def assert_same_batches(one, other, number=20):
    for _ in range(number):
        first, second = one.sample(4, 10), other.sample(4, 10)
        assert set(first) == set(second)
        for key, value in first.items():
            np.testing.assert_array_equal(value, second[key], key)


def test_a_reset_in_mid_episode_drops_what_was_begun():
    replay, model = Replay(None, seed=0), ListModel()
    model.add_rows(replay, 7, None)
    model.add_rows(replay, 9, 'terminated', reset=True)
    assert replay.stats['total_episodes'] == 1
    assert replay.stats['total_steps'] == 8
    assert replay.stats['dropped_episodes'] == 1
    assert replay.stats['dropped_steps'] == 6
    for _ in range(20):
        window = {key: value[0] for key, value in replay.sample(1, 9).items()}
        assert check_window(window, model, 'short') == (0, 0)


def test_workers_do_not_mix():
    replay, model = Replay(None), ListModel()
    for _ in range(5):
        for worker in range(3):
            model.add_rows(replay, 4, None, worker)
    assert replay.stats['partial_steps'] == 3 * 19
    model.drop(replay, 1)
    for worker in (2, 0):
        model.add_rows(replay, 3, 'truncated', worker)
    assert replay.stats['total_episodes'] == 2
    assert replay.stats['partial_steps'] == 0
    batch = replay.sample(20, 23)
    for row in range(20):
        check_window({key: value[row] for key, value in batch.items()}, model, 'off')


def test_an_episode_must_start_with_is_first():
    replay = Replay(None)
    with pytest.raises(ValueError, match='is_first'):
        replay.add_step(make_row(1, False, False, False))
    replay.add_step(make_row(1, True, False, False))
    replay.drop_partial()
    with pytest.raises(ValueError, match='is_first'):
        replay.add_step(make_row(2, False, False, False))


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'image': np.zeros((6, 5, 3), np.uint8)}, r'image is uint8\[6, 5, 3\] in place of uint8'),
        ({'vector': np.zeros(4)}, r'vector is float32\[4\] in place of float32\[3\]'),
        ({'extra': 1.0}, r'extra is float32\[\] in place of nothing'),
    ],
)
def test_a_step_that_does_not_fit_is_refused(change, message):
    replay = Replay(None)
    replay.add_step(make_row(1, True, False, False))
    with pytest.raises(UsageError, match=message):
        replay.add_step({**make_row(2, False, False, False), **change})
    step = make_row(2, False, False, False)
    del step['reward']
    with pytest.raises(UsageError, match='reward is nothing'):
        replay.add_step(step)
    with pytest.raises(ValueError, match='lacks reward'):
        Replay(None).add_step(step)


def test_what_is_added_is_copied():
    replay, image = Replay(None), np.zeros((6, 5, 2), np.uint8)
    for i in range(3):
        image[:] = i
        replay.add_step({**make_row(i + 1, i == 0, i == 2, True), 'image': image})
    assert list(replay.sample(1, 3)['image'][0, :, 0, 0, 0]) == [0, 1, 2]


def test_types_of_a_batch():
    replay = Replay(None)
    ListModel().add_rows(replay, 5, 'terminated')
    batch = replay.sample(2, 8)
    assert {key: (value.shape, value.dtype.name) for key, value in batch.items()} == {
        'image': ((2, 8, 6, 5, 2), 'uint8'),
        'vector': ((2, 8, 3), 'float32'),
        'action': ((2, 8, 5), 'float32'),
        'reward': ((2, 8), 'float32'),
        'is_first': ((2, 8), 'bool'),
        'is_last': ((2, 8), 'bool'),
        'is_terminal': ((2, 8), 'bool'),
        'level': ((2, 8), 'int32'),
        'mask': ((2, 8), 'float32'),
    }


def test_stats_of_levels_and_memory():
    replay, model = Replay(None, capacity=60, levels=['1-1', '1-2', '1-3']), ListModel(60)
    for rows in (40, 20, 10, 13, 15, 5):
        model.add_rows(replay, rows, 'terminated')
    stats = replay.stats
    for level, name in enumerate(['1-1', '1-2', '1-3']):
        of_level = [rows for rows in model.finished if rows[0]['level'] == level]
        assert stats[f'loaded_episodes/{name}'] == len(of_level)
        assert stats[f'loaded_steps/{name}'] == sum(len(rows) - 1 for rows in of_level)
    assert stats['loaded_episodes/1-2'] > 0
    before = stats['bytes']
    model.add_rows(replay, 60, 'terminated')
    assert replay.stats['loaded_episodes'] == 1
    assert 0 < replay.stats['bytes'] < before


@pytest.mark.parametrize('past_end', ['short', 'all', 'off'])
def test_an_evicted_episode_is_not_sampled_again(past_end):
    replay, model = Replay(None, capacity=100, past_end=past_end), ListModel(100)
    for _ in range(12):
        model.add_rows(replay, 26, 'terminated')
        batch = replay.sample(30, 10)
        for row in range(30):
            check_window({key: value[row] for key, value in batch.items()}, model, past_end)


@pytest.mark.parametrize('past_end', ['short', 'all', 'off'])
def test_an_unfinished_episode_is_sampled_once_it_fills_a_window(past_end):
    replay = Replay(None, past_end=past_end, ongoing=True)
    model = ListModel()
    model.add_rows(replay, 19, None)
    with pytest.raises(UsageError):
        replay.sample(1, 20)
    model.add_rows(replay, 21, None)
    batch = replay.sample(100, 20)
    starts = set()
    for row in range(100):
        window = {key: value[row] for key, value in batch.items()}
        starts.add(check_window(window, model, past_end, ongoing=True)[1])
    assert max(starts) == 20 and len(starts) > 5


def test_the_same_seed_gives_the_same_batches():
    replays = [Replay(None, seed=seed) for seed in (7, 7, 8)]
    for replay in replays:
        model = ListModel()
        for rows in (30, 4, 18):
            model.add_rows(replay, rows, 'terminated')
    first, second, other = (rows_of(replay, 5) for replay in replays)
    assert first == second
    assert first != other


@pytest.mark.parametrize('capacity', [0, 150])
def test_a_resumed_replay_goes_on_as_if_never_stopped(tmp_path, capacity):
    plain, replay = Replay(None, capacity, seed=1), Replay(tmp_path, capacity, seed=1)
    lengths = [30, 5, 44, 1, 20, 31, 12, 60, 9, 3]
    models = [ListModel(capacity), ListModel(capacity)]
    for rows in lengths:
        models[0].add_rows(plain, rows, 'terminated')
        models[1].add_rows(replay, rows, 'terminated')
    assert_same_batches(plain, replay)
    models[1].add_rows(replay, 4, None)
    state = json.loads(json.dumps(replay.get_state()))

    # What the interrupted run did after its checkpoint is forgotten.
    for rows in (50, 40, 30):
        models[1].add_rows(replay, rows, 'truncated', reset=True)
    replay.sample(4, 10)
    replay.close()

    again = Replay(tmp_path, capacity, seed=99)
    again.set_state(state)
    assert again.stats['loaded_steps'] == models[0].loaded_steps
    assert len(list((tmp_path / 'superseded').glob('*.npz'))) == 3
    assert_same_batches(plain, again)
    for rows in (25, 70):
        models[0].add_rows(plain, rows, 'terminated')
        number = models[0]._number
        for i in range(rows):
            last = i == rows - 1
            again.add_step(make_row(number - rows + i + 1, i == 0, last, last))
    batches = plain.sample(50, 10), again.sample(50, 10)
    for key in set(batches[0]) - {'level'}:
        np.testing.assert_array_equal(batches[0][key], batches[1][key], key)
    for key in ('total_steps', 'total_episodes', 'loaded_steps', 'loaded_episodes'):
        assert plain.stats[key] == again.stats[key]


def test_newer_episodes_can_be_kept_on_resume(tmp_path):
    replay, model = Replay(tmp_path), ListModel()
    model.add_rows(replay, 10, 'terminated')
    state = replay.get_state()
    model.add_rows(replay, 20, 'terminated')
    replay.close()
    again = Replay(tmp_path)
    again.set_state(state, discard_newer=False)
    assert again.stats['loaded_steps'] == again.stats['total_steps'] == 28
    model.add_rows(again, 5, 'terminated')
    again.close()
    serials = sorted(path.name.split('-')[1] for path in tmp_path.glob('*.npz'))
    assert serials == ['000000000', '000000001', '000000002']
    assert not (tmp_path / 'superseded').exists()


def test_files_that_a_checkpoint_needs_outlive_their_eviction(tmp_path):
    replay, model = Replay(tmp_path, capacity=50), ListModel(50)
    for _ in range(4):
        model.add_rows(replay, 26, 'terminated')
    replay.flush()
    assert len(list(tmp_path.glob('*.npz'))) == 2
    replay.get_state()
    model.add_rows(replay, 51, 'terminated')
    for _ in range(2):  # The last checkpoint, and the one before it if that is damaged.
        replay.get_state()
        assert len(list(tmp_path.glob('*.npz'))) == 3
    replay.get_state()
    assert len(list(tmp_path.glob('*.npz'))) == 1


def test_a_run_that_goes_on_twice_from_one_checkpoint_finds_the_same(tmp_path):
    replay, model = Replay(tmp_path, capacity=50), ListModel(50)
    for _ in range(3):
        model.add_rows(replay, 26, 'terminated')
    state = replay.get_state()
    for _ in range(3):
        again = Replay(tmp_path, capacity=50)
        again.set_state(state)
        assert [episode.serial for episode in again.episodes()] == [1, 2]
        ListModel().add_rows(again, 51, 'terminated')  # Evicts both.
        again.flush()


def test_sampling_from_another_thread_while_steps_are_added():
    replay, model = Replay(None, capacity=300, seed=0, ongoing=True), ListModel(300)
    model.add_rows(replay, 20, 'terminated')
    errors, batches, stop = [], [], threading.Event()

    def sample():
        try:
            while not stop.is_set():
                batches.append(replay.sample(4, 12))
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=sample) for _ in range(2)]
    for thread in threads:
        thread.start()
    everything = ListModel()
    for number in range(150):
        model.add_rows(replay, 3 + number % 40, 'terminated', worker=number % 2)
    stop.set()
    for thread in threads:
        thread.join(20)
    assert not errors
    assert len(batches) > 10
    everything.finished = [[make_row(n, False, False, False)] for n in range(1, model._number + 1)]
    for batch in batches[:: max(1, len(batches) // 50)]:
        for row in range(4):
            numbers = batch['reward'][row]
            stored = numbers[numbers > 0]
            assert np.array_equal(stored, np.arange(stored[0], stored[0] + len(stored)))
            pixels = everything.finished[int(stored[0]) - 1][0]['image']
            np.testing.assert_array_equal(batch['image'][row, 0], pixels)
