"""Whether memory and disk will do."""

import pytest
from run_fakes import fake_parts, small_config

from dreamerv2.run.logdir import headroom
from dreamerv2.run.training import train

MILLION = 10**6


def shortages(**changes):
    given = {
        'steps': 2 * MILLION,
        'stats': {'loaded_steps': 1e4, 'bytes': 2e6},
        'on_disk': 3 * MILLION,
        'capacity': 2 * MILLION,
        'keep_on_disk': False,
        'checkpoint': 100 * MILLION,
        'free_memory': 1e9,
        'free_disk': 1e9,
    }
    return headroom.shortages(**{**given, **changes})


def test_what_will_do_is_not_mentioned():
    assert shortages() == []
    assert shortages(free_memory=None) == []
    # 200 bytes a step for 1.99M steps; 300 on disk, and three checkpoints.
    assert shortages(free_memory=0.399e9, free_disk=0.898e9) == []


def test_what_will_not_do_is_told_with_its_sizes():
    (line,) = shortages(free_memory=0.397e9)
    assert 'about 0.4 GB, 0.4 GB are free' in line and 'replay.capacity (2,000,000 now)' in line
    (line,) = shortages(free_disk=0.896e9)
    assert 'about 0.9 GB more' in line and 'Make room' in line
    assert len(shortages(free_memory=1e6, free_disk=1e6)) == 2


@pytest.mark.parametrize(
    ('changes', 'gigabytes'),
    [({'capacity': 0}, 0.9), ({'capacity': 10**4}, 0.3), ({'steps': 0}, 0.3),
     ({'capacity': 10**4, 'keep_on_disk': True}, 0.9), ({'checkpoint': 0}, 0.6)],
)  # fmt: skip
def test_the_disk_needed(changes, gigabytes):
    (line,) = shortages(free_disk=1e6, **changes)
    assert f'about {gigabytes} GB more' in line


def test_a_run_says_so_when_training_begins(tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(headroom, 'available_memory', lambda: 10.0)
    train(small_config(tmp_path, steps=60), fake_parts([]))
    said = ''.join(capfd.readouterr())
    assert said.count('Memory may run out') == 1 and 'disk may' not in said


def test_the_size_of_a_folder(tmp_path):
    assert headroom.folder_size(tmp_path / 'none') == 0
    (tmp_path / 'a').write_bytes(b'123')
    (tmp_path / 'b').write_bytes(b'4567')
    (tmp_path / 'c').mkdir()
    assert headroom.folder_size(tmp_path) == 7
