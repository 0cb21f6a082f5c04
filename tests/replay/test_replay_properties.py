"""The replay against a plain list model, on random histories."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from replay_model import ListModel, check_window

from dreamerv2.errors import UsageError
from dreamerv2.replay import Replay

ENDS = st.sampled_from(['terminated', 'truncated'])
WORKERS = st.integers(0, 2)
# Lengths around those of the compressed blocks and of the windows.
ROWS = st.one_of(st.integers(1, 12), st.integers(13, 70))

OPERATIONS = st.one_of(
    st.tuples(st.just('finish'), ROWS, ENDS, WORKERS),
    st.tuples(st.just('open'), ROWS, st.none(), WORKERS),
    st.tuples(st.just('reset'), ROWS, ENDS, WORKERS),
    st.tuples(st.just('drop'), st.none(), st.none(), st.one_of(st.none(), WORKERS)),
    # Few lengths, so that a length comes again after episodes were added and evicted.
    st.tuples(st.just('sample'), st.sampled_from([1, 3, 10, 30]), st.none(), st.none()),
)

SETTINGS = {'deadline': None, 'suppress_health_check': [HealthCheck.too_slow]}
PROFILE = settings(max_examples=60, **SETTINGS)


def play(operations, replay, model, past_end, ongoing=False):
    """Apply the operations to both and check every window that is sampled."""
    for name, number, end, worker in operations:
        if name == 'drop':
            model.drop(replay, worker)
        elif name == 'sample':
            check_sample(replay, model, past_end, number, ongoing)
        else:
            model.add_rows(replay, number, end, worker, reset=name == 'reset')
        stats = replay.stats
        assert stats['total_episodes'] == model.episodes
        assert stats['total_steps'] == model.steps
        assert stats['loaded_episodes'] == len(model.finished)
        assert stats['loaded_steps'] == model.loaded_steps
        assert stats['dropped_episodes'] == model.dropped_episodes
        assert stats['dropped_steps'] == model.dropped_steps
        assert stats['partial_steps'] == sum(len(rows) - 1 for rows in model.partial.values())


def check_sample(replay, model, past_end, length, ongoing):
    least = length if past_end == 'off' else 1
    possible = [rows for rows in model.finished if len(rows) >= least]
    if ongoing:
        possible += [rows for rows in model.partial.values() if len(rows) >= length]
    if not possible:
        with pytest.raises(UsageError):
            replay.sample(8, length)
        return
    batch = replay.sample(8, length)
    for row in range(8):
        check_window({key: value[row] for key, value in batch.items()}, model, past_end, ongoing)


@PROFILE
@given(
    st.lists(OPERATIONS, min_size=1, max_size=12),
    st.sampled_from(['short', 'all', 'off']),
    st.booleans(),
    st.sampled_from([0, 0, 1, 30, 100]),
    st.integers(0, 1000),
)
def test_every_sampled_row_is_stored_or_continues(operations, past_end, ends, capacity, seed):
    replay = Replay(None, capacity, past_end, ends, seed)
    play(operations, replay, ListModel(capacity), past_end)


@PROFILE
@given(
    st.lists(OPERATIONS, min_size=1, max_size=12),
    st.sampled_from(['short', 'all', 'off']),
    st.integers(0, 1000),
)
def test_unfinished_episodes_are_sampled_inside_their_rows(operations, past_end, seed):
    replay = Replay(None, 0, past_end, seed=seed, ongoing=True)
    play(operations, replay, ListModel(), past_end, ongoing=True)


@PROFILE
@given(
    st.lists(st.tuples(ROWS, ENDS), min_size=1, max_size=6),
    st.sampled_from(['short', 'all', 'off']),
    st.integers(1, 20),
    st.integers(0, 20),
    st.integers(1, 50),
    st.integers(0, 1000),
)
def test_joined_pieces_each_start_fresh(episodes, past_end, minlen, more, length, seed):
    maxlen = minlen + more
    replay = Replay(None, 0, past_end, seed=seed, minlen=minlen, maxlen=maxlen)
    model = ListModel()
    for rows, end in episodes:
        model.add_rows(replay, rows, end)
    if past_end == 'off' and max(rows for rows, _ in episodes) < min(minlen, length):
        with pytest.raises(UsageError):
            replay.sample(1, length)
        return
    window = {key: value[0] for key, value in replay.sample(1, length).items()}
    joints = [*np.flatnonzero(window['is_first']), length]
    assert joints[0] == 0
    for begin, end in zip(joints[:-1], joints[1:], strict=True):
        assert end - begin <= maxlen
        assert end - begin >= minlen or end == length
        piece = {key: value[begin:end] for key, value in window.items()}
        check_window(piece, model, past_end, whole=False)


@settings(max_examples=15, **SETTINGS)
@given(
    operations=st.lists(OPERATIONS, min_size=1, max_size=10),
    capacity=st.sampled_from([0, 40, 120]),
    keep=st.booleans(),
)
def test_disk_holds_what_memory_holds(tmp_path_factory, operations, capacity, keep):
    directory = tmp_path_factory.mktemp('episodes')
    replay = Replay(directory, capacity, keep_on_disk=keep)
    model = ListModel(capacity)
    play(operations, replay, model, 'short')
    replay.close()

    stored = {}
    for path in directory.glob('*.npz'):
        with np.load(path) as archive:
            arrays = dict(archive)
        stored[int(path.name.split('-')[1])] = arrays
    assert len(stored) == (model.episodes if keep else len(model.finished))
    newest = sorted(stored)[len(stored) - len(model.finished) :]
    for serial, rows in zip(newest, model.finished, strict=True):
        assert set(stored[serial]) == set(rows[0])
        for key, values in stored[serial].items():
            np.testing.assert_array_equal(values, np.stack([row[key] for row in rows]), key)

    again = Replay(directory, capacity, seed=5)
    assert again.stats['loaded_episodes'] == len(model.finished)
    assert again.stats['loaded_steps'] == model.loaded_steps
    if model.finished:
        batch = again.sample(8, 20)
        for row in range(8):
            check_window({key: value[row] for key, value in batch.items()}, model, 'short')
