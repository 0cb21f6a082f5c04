"""A seed for every call, so that what a call draws depends on nothing that happened around it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

_PURPOSES = ('act', 'learn', 'report', 'evaluate')


class Seeds:
    """Seeds from one key, a call's purpose and its number.

    Each purpose counts by itself: evaluating changes nothing of what training draws.

    Attributes:
        calls: number of calls so far, by purpose.
    """

    def __init__(self, seed: int):
        self._key = np.random.SeedSequence([seed, 1]).generate_state(2).view(np.int32)
        self.calls = dict.fromkeys(_PURPOSES, 0)

    def take(self, purpose: str) -> np.ndarray:
        """The seed of the next call, int32 [2]."""
        self.calls[purpose] += 1
        stream = _PURPOSES.index(purpose)
        return self._key ^ np.array([stream, self.calls[purpose]], np.int32)

    def get_state(self) -> dict[str, np.ndarray]:
        """Copies of key and counters, by name."""
        calls = {f'random/{k}': np.array(v, np.int64) for k, v in self.calls.items()}
        return {'random/key': self._key.copy(), **calls}

    def set_state(self, arrays: Mapping[str, np.ndarray]):
        """Takes what `get_state` gave."""
        self._key = np.array(arrays['random/key'], np.int32)
        self.calls = {purpose: int(arrays[f'random/{purpose}']) for purpose in _PURPOSES}
