"""Memory and speed on frames of the game, with generous bounds."""

import time
from pathlib import Path

import numpy as np
import pytest

from dreamerv2.replay import Replay
from dreamerv2.replay.measure import bytes_per_step, fill

TRACES = Path(__file__).parents[1] / 'reference' / 'mario_traces.npz'


@pytest.fixture(scope='module')
def episodes():
    found = []
    with np.load(TRACES) as traces:
        for level, name in enumerate(sorted({key.split('/')[0] for key in traces})):
            image = traces[f'{name}/image']
            rows = len(image)
            action = np.zeros((rows, 12), np.float32)
            action[np.arange(1, rows), traces[f'{name}/action']] = 1
            found.append(
                {
                    'image': image[..., None],
                    'action': action,
                    'reward': np.append(0, traces[f'{name}/reward']).astype(np.float32),
                    'is_first': np.arange(rows) == 0,
                    'is_last': np.arange(rows) == rows - 1,
                    'is_terminal': np.append(False, traces[f'{name}/done']),
                    'level': np.full(rows, level, np.int32),
                }
            )
    return found


def test_frames_come_back_as_they_were(episodes):
    replay = Replay(None)
    fill(replay, episodes, 0)
    for stored, added in zip(replay.episodes(), episodes, strict=True):
        for key, value in added.items():
            np.testing.assert_array_equal(stored.array(key), value)


def test_memory_and_speed(episodes):
    replay = Replay(None)
    fill(replay, episodes, 20_000)
    assert replay.stats['loaded_steps'] >= 20_000
    raw = 64 * 64
    assert 50 < bytes_per_step(replay) < 1000 < raw
    for _ in range(5):
        replay.sample(16, 50)
    count, start = 0, time.process_time()
    while (spent := time.process_time() - start) < 1:
        replay.sample(16, 50)
        count += 1
    assert count / spent >= 100
