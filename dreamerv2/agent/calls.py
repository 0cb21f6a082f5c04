"""What the agent's compiled calls are made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

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
