"""What compiled calls are made of: graphs, seeds of their draws, variables as arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf


def compiled(function: Callable, jit: bool, xla: bool = False) -> Callable:
    """The function as a graph, or as it is where `jit` is false.

    Nothing here needs AutoGraph, which rereads the source and makes tracing slow.
    """
    return tf.function(function, jit_compile=xla or None, autograph=False) if jit else function


def split_seed(seed: tf.Tensor, number: int) -> list[tf.Tensor]:
    """Independent seeds from one."""
    return tf.unstack(tf.random.experimental.stateless_split(seed, number))


class Seeds:
    """Seeds from one key, a call's purpose and its number.

    Each purpose counts by itself: evaluating changes nothing of what training draws.

    Attributes:
        calls: number of calls so far, by purpose.
    """

    PURPOSES = ('act', 'learn', 'report', 'evaluate')

    def __init__(self, seed: int):
        self._key = np.random.SeedSequence([seed, 1]).generate_state(2).view(np.int32)
        self.calls = dict.fromkeys(self.PURPOSES, 0)

    def take(self, purpose: str) -> np.ndarray:
        """The seed of the next call, int32 [2]."""
        self.calls[purpose] += 1
        stream = self.PURPOSES.index(purpose)
        return self._key ^ np.array([stream, self.calls[purpose]], np.int32)

    def get_state(self) -> dict[str, np.ndarray]:
        """Copies of key and counters, by name."""
        calls = {f'random/{k}': np.array(v, np.int64) for k, v in self.calls.items()}
        return {'random/key': self._key.copy(), **calls}

    def set_state(self, arrays: Mapping[str, np.ndarray]):
        """Takes what `get_state` gave."""
        self._key = np.array(arrays['random/key'], np.int32)
        self.calls = {purpose: int(arrays[f'random/{purpose}']) for purpose in self.PURPOSES}


def check_fit(expected: Mapping[str, Any], found: Mapping[str, np.ndarray]):
    """Compares names and shapes of arrays or variables.

    Raises:
        ValueError: naming what is missing, extra or of another shape.
    """
    ours = {name: list(value.shape) for name, value in expected.items()}
    theirs = {name: list(np.shape(value)) for name, value in found.items()}
    common = sorted(set(ours) & set(theirs))
    problems = {
        'missing': sorted(set(ours) - set(theirs)),
        'extra': sorted(set(theirs) - set(ours)),
        'of another shape': [
            f'{k} {theirs[k]} instead of {ours[k]}' for k in common if theirs[k] != ours[k]
        ],
    }
    told = [f'{what}: {", ".join(names)}' for what, names in problems.items() if names]
    if told:
        raise ValueError(f'The state does not fit this agent. {"; ".join(told)}.')
