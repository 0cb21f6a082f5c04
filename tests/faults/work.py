"""A run without a network whose whole state follows from how many rows it has added.

Every row, and every episode's length, is a function of its number. What is sampled goes into a
chain of digests, so that the chain at a row is right only if all episodes, the order in which they
left the replay, and all random numbers until then were right.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from dreamerv2.replay import Replay

CAPACITY = 60
SAMPLE_EVERY = 5


def episode_rows(number: int) -> int:
    """Rows of an episode: 2 to 13."""
    return 2 + _noise('episode', number)[0] % 12


def make_row(number: int, offset: int, rows: int) -> dict[str, Any]:
    """Row `number` of all, row `offset` of an episode of `rows` rows."""
    noise = _noise('row', number)
    last = offset == rows - 1
    action = np.zeros(3, np.float32)
    action[noise[0] % 3] = offset > 0
    return {
        'image': np.frombuffer(noise[:12], np.uint8).reshape(2, 3, 2),
        'action': action,
        'reward': np.float32(number),
        'is_first': offset == 0,
        'is_last': last,
        'is_terminal': last and rows % 2 == 0,
        'level': np.int32(0),
    }


class Work:
    """Adds rows to a replay and samples from it.

    Attributes:
        rows: added so far.
        chain: digest of everything sampled and counted so far, 32 bytes.
    """

    def __init__(self, replay: Replay) -> None:
        self.replay = replay
        self.rows = self.episode = self.offset = 0
        self.chain = bytes(32)

    def advance(self) -> None:
        """Adds a row, and now and then samples."""
        length = episode_rows(self.episode)
        self.replay.add_step(make_row(self.rows, self.offset, length))
        self.rows += 1
        self.offset += 1
        if self.offset == length:
            self.episode, self.offset = self.episode + 1, 0
        if self.rows % SAMPLE_EVERY == 0 and self.episode:
            self._sample()

    def get_state(self) -> dict[str, Any]:
        """State for a checkpoint, of JSON types; with that of the replay."""
        return {
            'rows': self.rows,
            'episode': self.episode,
            'offset': self.offset,
            'chain': self.chain.hex(),
            'replay': self.replay.get_state(),
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Goes on from a checkpoint; the unfinished episode's rows are added again."""
        self.replay.set_state(state['replay'])
        self.rows, self.episode, self.offset = state['rows'], state['episode'], state['offset']
        self.chain = bytes.fromhex(state['chain'])
        for offset in range(self.offset):
            number = self.rows - self.offset + offset
            self.replay.add_step(make_row(number, offset, episode_rows(self.episode)))

    def _sample(self) -> None:
        digest = hashlib.sha256(self.chain)
        for key, value in sorted(self.replay.sample(2, 8).items()):
            digest.update(key.encode() + value.tobytes())
        stats = self.replay.stats
        for key in ('total_steps', 'total_episodes', 'loaded_steps', 'loaded_episodes'):
            digest.update(f'{key} {stats[key]}'.encode())
        self.chain = digest.digest()


class Reference:
    """The chain that a run which is never interrupted has at each row."""

    def __init__(self) -> None:
        self._work = Work(Replay(None, CAPACITY))
        self._chains = {0: self._work.chain}

    def chain(self, rows: int) -> bytes:
        """The chain after so many rows."""
        while rows not in self._chains:
            self._work.advance()
            self._chains[self._work.rows] = self._work.chain
        return self._chains[rows]


def is_as_written(arrays: dict[str, np.ndarray]) -> bool:
    """Whether an episode that was read is one that a `Work` added."""
    rows, first = len(arrays['reward']), int(arrays['reward'][0])
    expected = [make_row(first + offset, offset, rows) for offset in range(rows)]
    return set(arrays) == set(expected[0]) and all(
        np.array_equal(arrays[key], np.stack([row[key] for row in expected])) for key in arrays
    )


def _noise(kind: str, number: int) -> bytes:
    return hashlib.sha256(f'{kind} {number}'.encode()).digest()
