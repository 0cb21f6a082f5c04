"""Arrays as one compressed `.npz` with a checksum, and strict reading of such data.

The archive's comment, which NumPy ignores, is `sha256:` and the digest of all bytes before it. Data
without a comment, as NumPy writes it, has only the checksums of its entries.

The data is not trusted: no pickle, no types but numbers, booleans and text, and all sizes are
checked against each other and a limit before memory is allocated.
"""

from __future__ import annotations

import hashlib
import io
import math
import re
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import IO

import numpy as np

MAX_BYTES = 4 << 30

_MARK = b'sha256:'
_DIGEST = 64
_END_SIZE = 22  # Size of a zip archive's last record, without the comment.
_HEADER = re.compile(
    r"\{'descr': '(?P<dtype>[<>|=](?:[buif]\d{1,2}|U\d{1,3}))', "
    r"'fortran_order': (?P<fortran>True|False), "
    r"'shape': \((?P<shape>[0-9, ]*)\), \} *\n",
    re.ASCII,
)
# Deflate cannot compress further than this; other methods can, but NumPy does not use them.
_MOST_DENSE = 1032
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_DAMAGE = (
    ValueError,
    KeyError,
    EOFError,
    OSError,
    OverflowError,
    NotImplementedError,
    RuntimeError,
    TypeError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)


def encode(arrays: Mapping[str, np.ndarray]) -> bytes:
    """Arrays by name as a compressed `.npz` with a checksum."""
    file = io.BytesIO()
    # np.savez_compressed with zlib's fastest level.
    with zipfile.ZipFile(file, 'w', zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for key, value in arrays.items():
            with archive.open(f'{key}.npy', 'w', force_zip64=True) as entry:
                np.lib.format.write_array(entry, np.asarray(value), allow_pickle=False)
        archive.comment = _MARK + b'0' * _DIGEST
    data = file.getvalue()[:-_DIGEST]
    return data + hashlib.sha256(data).hexdigest().encode()


def read(path: Path, limit: int = MAX_BYTES) -> dict[str, np.ndarray]:
    """The arrays of a file; see `decode`.

    Raises:
        ValueError: as for `decode`, or the file is larger than `limit`.
        OSError: it cannot be read.
    """
    size = path.stat().st_size
    if size > limit:
        raise ValueError(f'it has {size} bytes, at most {limit} are allowed')
    return decode(path.read_bytes(), limit)


def decode(data: bytes, limit: int = MAX_BYTES) -> dict[str, np.ndarray]:
    """The arrays of a `.npz`.

    Args:
        data: all bytes of the file.
        limit: largest size of all arrays together, in bytes.

    Raises:
        ValueError: the data is damaged, not such an archive, or its claimed sizes are impossible or
        above the limit.
    """
    try:
        _check_digest(data)
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
            _check_sizes(entries, len(data), limit)
            arrays = {info.filename: _read(archive, info) for info in entries}
    except _DAMAGE as error:
        raise ValueError(' '.join(str(error).split()) or type(error).__name__) from error
    if len(arrays) != len(entries):
        raise ValueError('it holds a name twice')
    return {name.removesuffix('.npy'): array for name, array in arrays.items()}


def _check_digest(data: bytes) -> None:
    if data[-_END_SIZE:][:4] == b'PK\5\6' and data.endswith(b'\0\0'):
        return  # Without a comment: written by NumPy or an older version.
    if data[-len(_MARK) - _DIGEST : -_DIGEST] != _MARK:
        raise ValueError('its end, which holds the checksum, is missing or changed')
    if hashlib.sha256(data[:-_DIGEST]).hexdigest().encode() != data[-_DIGEST:]:
        raise ValueError('it was changed (SHA-256 differs)')


def _check_sizes(entries: list[zipfile.ZipInfo], size: int, limit: int) -> None:
    claimed = sum(info.file_size for info in entries)
    if claimed > limit:
        raise ValueError(f'its arrays would take {claimed} bytes, at most {limit} are allowed')
    if sum(info.compress_size for info in entries) > size:
        raise ValueError('its arrays overlap')
    for info in entries:
        if not info.filename.endswith('.npy'):
            raise ValueError(f'{info.filename!r} in it is not an array')
        if info.compress_type not in _METHODS:
            raise ValueError(f'{info.filename} is compressed in a way that NumPy does not use')
        if info.file_size > _MOST_DENSE * (info.compress_size + 1):
            raise ValueError(
                f'{info.filename} claims {info.file_size} bytes out of {info.compress_size}'
            )


def _read(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> np.ndarray:
    with archive.open(info) as entry:
        dtype, shape, order, header = _read_header(entry)
        size = dtype.itemsize * math.prod(shape)
        if header + size != info.file_size:
            raise ValueError(f'{info.filename} is {dtype}{list(shape)} in {info.file_size} bytes')
        content = entry.read()
    # A copy, which owns its memory.
    return np.frombuffer(content, dtype).reshape(shape, order=order).copy()


def _read_header(entry: IO[bytes]):
    """Type, shape, order and offset of the data, without evaluating the header."""
    version = np.lib.format.read_magic(entry)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f'an array in it has format {version}')
    width = 2 if version == (1, 0) else 4
    length = int.from_bytes(entry.read(width), 'little')
    if length > 10_000:
        raise ValueError(f'the header of an array in it has {length} bytes')
    match = _HEADER.fullmatch(entry.read(length).decode('latin1'))
    if not match:
        raise ValueError('an array in it has a damaged header, or neither numbers nor text')
    shape = tuple(int(size) for size in match['shape'].split(',') if size.strip())
    order = 'F' if match['fortran'] == 'True' else 'C'
    return np.dtype(match['dtype']), shape, order, np.lib.format.MAGIC_LEN + width + length
