"""What a checkpoint keeps of the episodes that are going on: their rows, and the policy's state."""

from __future__ import annotations

import io
from collections.abc import Mapping

import numpy as np

Arrays = dict[str, np.ndarray]


def pack(rows: Mapping[int, Mapping[str, np.ndarray]], policy: Mapping[str, np.ndarray]) -> bytes:
    """An `.npz` file.

    Args:
        rows: for each environment's index its episode so far, arrays `[rows, ...]`.
        policy: the policy's state by name.
    """
    arrays = {f'rows/{i}/{key}': value for i, own in rows.items() for key, value in own.items()}
    arrays |= {f'policy/{name}': value for name, value in policy.items()}
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def unpack(content: bytes) -> tuple[dict[int, Arrays], Arrays]:
    """What `pack` was given."""
    rows: dict[int, Arrays] = {}
    policy: Arrays = {}
    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        for name in file.files:
            kind, _, rest = name.partition('/')
            if kind == 'policy':
                policy[rest] = file[name]
            else:
                index, _, key = rest.partition('/')
                rows.setdefault(int(index), {})[key] = file[name]
    return rows, policy
