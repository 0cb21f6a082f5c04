"""A small run that writes episodes and checkpoints until it is killed; started again it goes on.

    python -m tests.faults.writer FOLDER

Prints `resumed ROWS` once it goes on. `FOLDER/progress` holds the rows added so far, 8 bytes.
"""

from __future__ import annotations

import functools
import os
import sys
from pathlib import Path

import numpy as np

from dreamerv2.replay import Replay
from dreamerv2.run import checkpoint
from dreamerv2.run.background import Saver
from tests.faults.work import CAPACITY, Work

SAVE_EVERY = 40
KEEP = 2


def save(folder: Path, work: Work, wait: bool = True) -> functools.partial:
    """What writes a checkpoint of the work as it is now."""
    return functools.partial(
        checkpoint.save,
        folder / 'checkpoints',
        work.rows,
        arrays={
            'chain': np.frombuffer(work.chain, np.uint8),
            'rows': np.array(work.rows, np.int64),
            'weights': np.full((16, 16), work.rows, np.float32),
        },
        state=work.get_state(),
        files={'config.yaml': b'seed: 0\n'},
        keep=KEEP,
        score=float(-(work.rows % 7)),
    )


def resume(folder: Path) -> Work:
    """The work as the newest good checkpoint has it, or from the beginning."""
    checkpoint.recover(folder / 'checkpoints')
    saved = checkpoint.load_newest(folder / 'checkpoints', complain)
    checkpoint.tidy(folder / 'checkpoints', saved)
    work = Work(Replay(folder / 'train_episodes', CAPACITY))
    if saved is None:
        save(folder, work)()
    else:
        work.set_state(saved.state)
        arrays = saved.arrays()
        assert arrays['chain'].tobytes() == work.chain and arrays['rows'] == work.rows
    return work


def complain(line: str) -> None:
    """Damage is a failure here, whatever could be done about it."""
    raise SystemExit(line)


def main(folder: Path) -> None:
    """Runs until the process ends."""
    work, saver = resume(folder), Saver()
    progress = os.open(folder / 'progress', os.O_CREAT | os.O_WRONLY, 0o644)
    os.pwrite(progress, work.rows.to_bytes(8, 'little'), 0)
    print('resumed', work.rows, flush=True)
    while True:
        work.advance()
        os.pwrite(progress, work.rows.to_bytes(8, 'little'), 0)
        saver.check()
        if work.rows % SAVE_EVERY == 0:
            saver.start(save(folder, work))


if __name__ == '__main__':
    main(Path(sys.argv[1]))
