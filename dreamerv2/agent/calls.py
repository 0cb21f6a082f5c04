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


def agent_shapes(obs_space: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Shapes of the observations an agent may see: all but bookkeeping and `log_*` entries."""
    hidden = ('reward', 'is_first', 'is_last', 'is_terminal', 'level')
    return {
        key: tuple(space.shape)
        for key, space in obs_space.items()
        if key not in hidden and not key.startswith('log_')
    }


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


def read_arrays(variables: Mapping[str, tf.Variable]) -> dict[str, np.ndarray]:
    """Copies of the variables' values."""
    return {name: np.array(variable.numpy()) for name, variable in variables.items()}


def describe_mismatch(
    expected: Mapping[str, tuple[int, ...]], found: Mapping[str, tuple[int, ...]]
) -> str:
    """What differs between two dicts of name to shape, in one line; empty where nothing does."""
    missing = sorted(set(expected) - set(found))
    extra = sorted(set(found) - set(expected))
    differ = [
        f'{name} {list(found[name])} instead of {list(expected[name])}'
        for name in sorted(set(expected) & set(found))
        if tuple(expected[name]) != tuple(found[name])
    ]
    parts = [('missing', missing), ('extra', extra), ('of another shape', differ)]
    return '; '.join(f'{what}: {", ".join(names)}' for what, names in parts if names)


def assign_arrays(
    variables: Mapping[str, tf.Variable],
    arrays: Mapping[str, np.ndarray],
    others: Mapping[str, np.ndarray] | None = None,
):
    """Assigns arrays to the variables of the same names.

    Args:
        variables: where the values go.
        arrays: the values; their names must be those of `variables` and `others` together.
        others: further entries that must be there, kept elsewhere.

    Raises:
        ValueError: naming what is missing, extra or of another shape; nothing is assigned then.
    """
    expected = {name: tuple(variable.shape) for name, variable in variables.items()}
    expected.update({name: np.shape(value) for name, value in (others or {}).items()})
    problem = describe_mismatch(expected, {name: np.shape(v) for name, v in arrays.items()})
    if problem:
        raise ValueError(f'The state does not fit this agent. {problem}.')
    for name, variable in variables.items():
        variable.assign(arrays[name])
