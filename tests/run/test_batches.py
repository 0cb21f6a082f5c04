"""Batches ahead of time: the same, in the same order, also after going on."""

import io
import threading

import numpy as np
import pytest

from dreamerv2.errors import UsageError
from dreamerv2.replay import Replay
from dreamerv2.run.updater import Batches


def fill(replay, episodes, rows=6, first=0):
    for number in range(first, first + episodes):
        for row in range(rows):
            replay.add_step({
                'action': np.zeros(2, np.float32),
                'reward': np.float32(100 * number + row),
                'is_first': row == 0,
                'is_last': row == rows - 1,
                'is_terminal': False,
            })  # fmt: skip


def rewards(batches, number):
    return [batches.take()['reward'].tolist() for _ in range(number)]


def make(replay, place=lambda batch: batch):
    return Batches(replay, 3, 4, place)


def test_batches_are_those_that_the_replay_draws_in_their_order():
    plain, ahead = Replay(None), Replay(None)
    for replay in (plain, ahead):
        fill(replay, 5)
    batches = make(ahead)
    expected = [plain.sample(3, 4)['reward'].tolist() for _ in range(6)]
    assert rewards(batches, 6) == expected
    assert batches.last['reward'].tolist() == expected[-1]
    batches.close()


def test_a_batch_is_drawn_when_the_one_before_it_is_taken():
    replay, model = Replay(None), Replay(None)
    batches = make(replay)
    for filled in (replay, model):
        fill(filled, 1)
    batches.take()
    expected = [model.sample(3, 4) for _ in range(2)][1]
    fill(replay, 20, first=1)
    assert batches.take()['reward'].tolist() == expected['reward'].tolist()
    assert max(max(max(row) for row in batch) for batch in rewards(batches, 5)) > 100
    batches.close()


def test_going_on_uses_the_batch_that_was_drawn_already():
    replay = Replay(None)
    fill(replay, 3)
    batches = make(replay)
    assert batches.get_state() is None
    batches.take()
    fill(replay, 3, first=3)
    ahead, state = batches.get_state(), replay.get_state()
    expected = rewards(batches, 4)
    batches.close()
    replay.set_state(state)
    later = make(replay)
    later.set_state(ahead)
    assert rewards(later, 4) == expected
    later.close()


def test_batches_are_put_on_the_device_in_the_background():
    replay = Replay(None)
    fill(replay, 3)
    threads = []

    def place(batch):
        threads.append(threading.current_thread())
        return {'reward': -batch['reward']}

    batches = make(replay, place)
    np.testing.assert_array_equal(batches.take()['reward'], -batches.last['reward'])
    batches.close()
    assert threads and threading.main_thread() not in threads


def test_an_empty_replay_is_named():
    batches = make(Replay(None))
    with pytest.raises(UsageError, match='no finished episode'):
        batches.take()
    batches.close()


def test_an_untrusted_batch_is_checked():
    batches = make(Replay(None))
    file = io.BytesIO()
    np.savez(file, allow_pickle=True, reward=np.array([print], object))
    for state in (b'', file.getvalue()):
        with pytest.raises(UsageError, match='batch ahead'):
            batches.set_state(state)
    batches.close()
