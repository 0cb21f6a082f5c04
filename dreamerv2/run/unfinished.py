"""What a checkpoint keeps of the episodes that are going on: their rows, and the policy's state.

Rows that the environments have given and the driver has not handed on yet are kept apart.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from dreamerv2 import npz
from dreamerv2.errors import UsageError
from dreamerv2.run.types import Row

Arrays = dict[str, np.ndarray]


def pack(
    rows: Mapping[int, Mapping[str, np.ndarray]],
    policy: Mapping[str, np.ndarray],
    arrived: Mapping[int, Row],
) -> bytes:
    """An `.npz` file.

    Args:
        rows: for each environment's index its episode so far, arrays `[rows, ...]`.
        policy: the policy's state by name.
        arrived: by environment the row to be handed on next.
    """
    arrays = {f'rows/{i}/{key}': value for i, own in rows.items() for key, value in own.items()}
    arrays |= {f'policy/{name}': value for name, value in policy.items()}
    for index, row in arrived.items():
        arrays |= {f'arrived/{index}/{key}': np.asarray(value) for key, value in row.items()}
    return npz.encode(arrays)


def unpack(content: bytes) -> tuple[dict[int, Arrays], Arrays, dict[int, Row]]:
    """What `pack` was given. Raises UsageError where the content is something else."""
    rows: dict[int, Arrays] = {}
    policy: Arrays = {}
    arrived: dict[int, Row] = {}
    try:
        for name, value in npz.decode(content).items():
            kind, _, rest = name.partition('/')
            if kind == 'policy':
                policy[rest] = value
            else:
                index, _, key = rest.partition('/')
                if kind == 'arrived':
                    arrived.setdefault(int(index), {})[key] = value[()]
                else:
                    rows.setdefault(int(index), {})[key] = value
    except ValueError as error:
        raise UsageError(
            f'The unfinished episodes in the checkpoint cannot be read ({error}): use another one.'
        ) from error
    return rows, policy, arrived
