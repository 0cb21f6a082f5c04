"""The unfinished episodes of a run, and its policy's state, as an `.npz` file."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from dreamerv2 import npz
from dreamerv2.errors import UsageError
from dreamerv2.run.types import Batch, Row

Arrays = Mapping[str, np.ndarray]


def pack(rows: Mapping[int, Arrays], policy: Arrays, arrived: Mapping[int, Row]) -> bytes:
    """The file's content.

    Args:
        rows: the episode so far, arrays `[rows, ...]`, by environment index.
        policy: the policy's state by name.
        arrived: by environment, the row that has come from it but is still to be passed on.
    """
    arrays = {f'rows/{i}/{key}': value for i, own in rows.items() for key, value in own.items()}
    arrays |= {f'policy/{name}': value for name, value in policy.items()}
    for index, row in arrived.items():
        arrays |= {f'arrived/{index}/{key}': np.asarray(value) for key, value in row.items()}
    return npz.encode(arrays)


def unpack(content: bytes) -> tuple[dict[int, Batch], Batch, dict[int, Row]]:
    """Inverse of `pack`. Raises UsageError where the content is invalid."""
    rows: dict[int, Batch] = {}
    policy: Batch = {}
    arrived: dict[int, Row] = {}
    try:
        for name, value in npz.decode(content).items():
            kind, _, rest = name.partition('/')
            index, _, key = rest.partition('/')
            if kind == 'policy':
                policy[rest] = value
            elif kind == 'arrived':
                arrived.setdefault(int(index), {})[key] = value[()]
            else:
                rows.setdefault(int(index), {})[key] = value
    except ValueError as error:
        raise UsageError(
            f'The unfinished episodes in the checkpoint cannot be read ({error}): use another one.'
        ) from error
    return rows, policy, arrived
