"""Compact columns: one key of an episode in memory, lossless.

A column is immutable, made from all its rows. Every column has `shape` and `dtype` (of
one row), `nbytes`, and `read(start, stop, out)`, which writes rows [start, stop) into `out`.
"""

import sys

import lz4.block
import numpy as np

# Rows compressed together. More compress better; fewer are decompressed needlessly at the two ends
# of a window.
BLOCK_ROWS = 16


def is_image(shape, dtype):
    """Whether a key holds pixels, which are worth compressing."""
    return dtype == np.uint8 and len(shape) >= 2


def one_hot_index(rows):
    """Index of the one in each row of `[rows, size]`, `size` for a row of zeros.

    Returns None if any row is neither exactly one-hot nor zero.
    """
    rows = np.asarray(rows)
    if rows.ndim != 2 or not np.all((rows == 0) | (rows == 1)):
        return None
    ones = rows.sum(1)
    if np.any(ones > 1):
        return None
    return np.where(ones == 1, rows.argmax(1), rows.shape[1])


def is_one_hot(rows):
    """Whether all rows `[rows, size]` are one-hot or zero, up to rounding."""
    rows = np.asarray(rows)
    return (
        one_hot_index(np.where(np.isclose(rows, np.round(rows), atol=1e-3), np.round(rows), -1))
        is not None
    )


def compact(rows):
    """The smallest column for an array `[rows, ...]` other than images."""
    if (rows == rows[:1]).all():
        return Constant(rows)
    if rows.dtype == np.float32 and rows.ndim == 2 and rows.shape[1] > 1:
        index = one_hot_index(rows)
        if index is not None:
            return OneHot(index, rows.shape[1], rows.dtype)
    return Plain(rows)


class Plain:
    """Rows as they are."""

    def __init__(self, rows):
        self._rows = np.ascontiguousarray(rows)
        self.shape, self.dtype = rows.shape[1:], rows.dtype
        self.nbytes = sys.getsizeof(self._rows)

    def read(self, start, stop, out):
        out[:] = self._rows[start:stop]


class Constant:
    """The same value in every row, such as the level."""

    def __init__(self, rows):
        self._value = rows[0].copy()
        self.shape, self.dtype = rows.shape[1:], rows.dtype
        self.nbytes = sys.getsizeof(self._value)

    def read(self, start, stop, out):
        out[:] = self._value


class OneHot:
    """One-hot or zero rows, kept as the index of the one."""

    def __init__(self, index, size, dtype):
        self._index = index.astype(np.uint8 if size < 256 else np.int32)
        self.shape, self.dtype = (size,), dtype
        self.nbytes = sys.getsizeof(self._index)

    def read(self, start, stop, out):
        index = self._index[start:stop]
        out[:] = index[:, None] == np.arange(self.shape[0])


class Frames:
    """Images in compressed blocks of BLOCK_ROWS rows, so that a window unpacks only its own."""

    def __init__(self, blocks, shape):
        self._blocks = blocks
        self.shape, self.dtype = shape, np.dtype(np.uint8)
        self.nbytes = sys.getsizeof(blocks) + sum(map(sys.getsizeof, blocks))

    def read(self, start, stop, out):
        for number in range(start // BLOCK_ROWS, -(-stop // BLOCK_ROWS)):
            first = number * BLOCK_ROWS
            rows = unpack(self._blocks[number], self.shape)
            begin, end = max(start, first), min(stop, first + BLOCK_ROWS)
            out[begin - start : end - start] = rows[begin - first : end - first]


def pack(rows):
    """Compress uint8 `[rows, ...]` to bytes."""
    return lz4.block.compress(np.ascontiguousarray(rows), mode='high_compression', compression=4)


def unpack(block, shape):
    """The uint8 array `[rows, *shape]` that was packed."""
    return np.frombuffer(lz4.block.decompress(block), np.uint8).reshape(-1, *shape)
