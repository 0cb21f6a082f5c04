"""What a checkpoint keeps of the episodes that are going on: their rows, and the policy's state."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from dreamerv2 import npz
from dreamerv2.errors import UsageError

Arrays = dict[str, np.ndarray]


def pack(rows: Mapping[int, Mapping[str, np.ndarray]], policy: Mapping[str, np.ndarray]) -> bytes:
    """An `.npz` file.

    Args:
        rows: for each environment's index its episode so far, arrays `[rows, ...]`.
        policy: the policy's state by name.
    """
    arrays = {f'rows/{i}/{key}': value for i, own in rows.items() for key, value in own.items()}
    arrays |= {f'policy/{name}': value for name, value in policy.items()}
    return npz.encode(arrays)


def unpack(content: bytes) -> tuple[dict[int, Arrays], Arrays]:
    """What `pack` was given. Raises UsageError where the content is something else."""
    rows: dict[int, Arrays] = {}
    policy: Arrays = {}
    try:
        for name, value in npz.decode(content).items():
            kind, _, rest = name.partition('/')
            if kind == 'policy':
                policy[rest] = value
            else:
                index, _, key = rest.partition('/')
                rows.setdefault(int(index), {})[key] = value
    except ValueError as error:
        raise UsageError(
            f'The unfinished episodes in the checkpoint cannot be read ({error}): use another one.'
        ) from error
    return rows, policy
