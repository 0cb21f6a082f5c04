"""Variables to arrays and back, by name."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import tensorflow as tf


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
