"""Arrays by name as one safetensors file: a header in JSON, then the arrays one after another.

Writing is done here and not by the library, so that arrays are written without a copy, a failed
write is cleaned up, and the digest is computed while writing. Reading is the library's.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

_TYPES = {
    'float64': 'F64', 'float32': 'F32', 'float16': 'F16', 'bool': 'BOOL',
    'int64': 'I64', 'int32': 'I32', 'int16': 'I16', 'int8': 'I8',
    'uint64': 'U64', 'uint32': 'U32', 'uint16': 'U16', 'uint8': 'U8',
}  # fmt: skip


def size_of(arrays: Mapping[str, np.ndarray]) -> int:
    """About how many bytes the file takes."""
    return sum(np.asarray(x).nbytes + len(json.dumps(name)) + 80 for name, x in arrays.items())


def chunks(arrays: Mapping[str, np.ndarray]) -> Iterator[Any]:
    """The file's content in chunks; larger dtypes come first, so that all arrays are aligned."""
    values = {name: np.asarray(value) for name, value in arrays.items()}
    names = sorted(values, key=lambda name: (-values[name].itemsize, name))
    header, end = {}, 0
    for name in names:
        value, start = values[name], end
        end += value.nbytes
        shape, offsets = list(value.shape), [start, end]
        header[name] = {
            'dtype': _TYPES[value.dtype.name], 'shape': shape, 'data_offsets': offsets,
        }  # fmt: skip
    text = json.dumps(header, separators=(',', ':')).encode()
    text += b' ' * (-len(text) % 8)
    yield len(text).to_bytes(8, 'little') + text
    for name in names:
        value = values[name].astype(values[name].dtype.newbyteorder('<'), order='C', copy=False)
        yield value.reshape(-1).view(np.uint8)


def check(path: Path) -> None:
    """Raises ValueError where the sizes in the header and the file's disagree; reads no array."""
    try:
        with safetensors.safe_open(path, framework='np'):
            pass
    except safetensors.SafetensorError as error:
        raise ValueError(' '.join(str(error).split())) from error


def read(path: Path) -> dict[str, np.ndarray]:
    """The arrays by name.

    Raises:
        ValueError: not a safetensors file, or its sizes disagree.
    """
    check(path)
    return dict(safetensors.numpy.load_file(path))
