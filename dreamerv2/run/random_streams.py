"""All random streams of a run, derived from its seed.

Each stream has a fixed number, so that adding one changes no other.
"""

from __future__ import annotations

import numpy as np

STREAMS = {
    'agent': 0, 'envs': 1, 'eval_envs': 2, 'replay': 3,
    'random_policy': 4, 'evaluation': 5, 'interval': 6, 'reconstruction': 7,
}  # fmt: skip


def sequence(seed: int, stream: str, index: int = 0) -> np.random.SeedSequence:
    """The seed sequence of one member of a stream (a worker, an evaluation level).

    Raises KeyError where there is no such stream, ValueError where the seed is negative.
    """
    return np.random.SeedSequence(entropy=seed, spawn_key=(STREAMS[stream], index))


def derive(seed: int, stream: str, index: int = 0) -> int:
    """A seed in [0, 2**31) for libraries that take an integer."""
    return int(sequence(seed, stream, index).generate_state(1)[0]) & 0x7FFFFFFF


def generator(seed: int, stream: str, index: int = 0) -> np.random.Generator:
    """A NumPy generator of the stream."""
    return np.random.Generator(np.random.PCG64(sequence(seed, stream, index)))
