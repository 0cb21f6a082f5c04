"""A run's logdir, made with what training makes it with, and what the doctor says of it."""

import numpy as np

from dreamerv2.config import load_config
from dreamerv2.doctor import logdir as doctor
from dreamerv2.doctor.rows import FAILED, examine
from dreamerv2.durable import to_json, write_durably
from dreamerv2.replay import Replay, disk
from dreamerv2.run import checkpoint
from dreamerv2.run.logdir.folder import save_config
from dreamerv2.run.logdir.provenance import describe_run
from dreamerv2.run.metrics import jsonl

LENGTHS = (5, 3, 8, 2)  # steps of the episodes
STEPS = sum(LENGTHS)
FRAMES = 4 * STEPS


def add_episode(replay, length, seed=0):
    """An episode of random pictures that truly ends."""
    rng = np.random.default_rng(seed)
    for row in range(length + 1):
        replay.add_step(
            {
                'image': rng.integers(0, 256, (8, 8, 1)).astype(np.uint8),
                'action': np.eye(3, dtype=np.float32)[rng.integers(3)] * (row > 0),
                'reward': np.float32(row),
                'is_first': row == 0,
                'is_last': row == length,
                'is_terminal': row == length,
                'level': 0,
            }
        )


def save(path, replay, step):
    """A checkpoint of the run at an agent step."""
    return checkpoint.save(
        path / 'checkpoints',
        4 * step,
        arrays={'parameters/kernel': np.arange(300, dtype=np.float32) + step},
        state={'progress': {'step': step, 'updates': step}, 'replay': replay.get_state()},
        files={
            'config.yaml': (path / 'config.yaml').read_bytes(),
            'provenance.json': (path / 'provenance.json').read_bytes(),
        },
    )


def make_run(path):
    """The logdir of a run with 4 episodes, 2 checkpoints and metrics, not finished."""
    path.mkdir()
    config = load_config(['--configs', 'mario', 'debug']).update({'logdir': str(path)})
    save_config(path, config)
    description = describe_run(0, {}, ['1-1'], {}, None, ['train'])
    write_durably(path / 'provenance.json', to_json(description))
    replay = Replay(path / 'train_episodes', levels=['1-1'])
    metrics = jsonl.JsonLines(path)
    step = 0
    for number, length in enumerate(LENGTHS):
        add_episode(replay, length, seed=number)
        step += length
        metrics.write(4 * step, {'train_return': float(number)}, {})
        metrics.write(4 * step, {'image_loss': 1.5, 'updates': step}, {})
        if number >= 2:
            save(path, replay, step)
    replay.close()
    metrics.close()


def rows_of(path):
    """All rows of a logdir."""
    return list(examine(doctor.checks(doctor.find(path))))


def not_ok(path, status=FAILED):
    """The one row of this status; it has a hint."""
    (row,) = [row for row in rows_of(path) if row.status == status]
    assert row.hint and '\n' not in row.seen
    return row


def episode_files(path):
    """The episodes' files, oldest first."""
    return disk.list_files(path / 'train_episodes')


def flip(file, place=0.5):
    """Changes one bit of a file."""
    data = bytearray(file.read_bytes())
    data[int(len(data) * place)] ^= 1
    file.write_bytes(data)
