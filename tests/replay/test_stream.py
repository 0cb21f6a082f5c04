"""Batches when asked for and ahead of time."""

import threading
import time

import numpy as np
import pytest
from replay_model import ListModel

from dreamerv2.errors import UsageError
from dreamerv2.replay import Replay, Stream


def small_replay(seed=0):
    replay, model = Replay(None, seed=seed), ListModel()
    for rows in (30, 4, 18):
        model.add_rows(replay, rows, 'terminated')
    return replay


def test_the_order_is_the_same_ahead_or_not():
    expected = small_replay()
    with small_replay().stream(2, 10) as plain, small_replay().stream(2, 10, ahead=3) as ahead:
        for _ in range(30):
            batches = [next(plain), next(ahead), expected.sample(2, 10)]
            for key in batches[0]:
                np.testing.assert_array_equal(batches[0][key], batches[1][key])
                np.testing.assert_array_equal(batches[0][key], batches[2][key])


def test_nothing_is_made_before_it_is_asked_for():
    made = []
    stream = Stream(lambda: made.append(1) or len(made))
    assert not made
    assert next(stream) == 1
    assert next(stream) == 2
    assert len(made) == 2
    with pytest.raises(ValueError):
        Stream(lambda: 1, ahead=-1)


def test_only_so_many_are_made_ahead():
    made = []
    with Stream(lambda: made.append(1) or len(made), ahead=3) as stream:
        assert [next(stream) for _ in range(4)] == [1, 2, 3, 4]
        deadline = time.monotonic() + 10
        while len(made) < 7 and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(0.05)
        assert len(made) == 7


def test_an_exception_reaches_the_consumer_after_the_batches_before_it():
    def make():
        made.append(1)
        if len(made) == 3:
            raise RuntimeError('broken')
        return len(made)

    made = []
    stream = Stream(make, ahead=5)
    assert next(stream) == 1
    assert next(stream) == 2
    with pytest.raises(RuntimeError, match='broken'):
        next(stream)
    assert list(stream) == []


@pytest.mark.parametrize('ahead', [0, 2])
def test_an_empty_replay_is_reported_by_the_stream(ahead):
    with Replay(None).stream(2, 10, ahead) as stream, pytest.raises(UsageError):
        next(stream)


@pytest.mark.parametrize('taken', [0, 1, 5])
@pytest.mark.parametrize('ahead', [0, 1, 4])
def test_closing_ends_the_thread(ahead, taken):
    before = threading.active_count()
    stream = small_replay().stream(2, 10, ahead)
    for _ in range(taken):
        next(stream)
    stream.close()
    stream.close()
    assert threading.active_count() == before
    assert list(stream) == []
