"""An episode in memory: the rows that it may have, how it grows, and its compact columns.

A column is one key of an episode, lossless and immutable, made from all its rows. Every column has
`shape` and `dtype` (of one row), `nbytes`, and `read(start, stop, out)`, which writes rows
[start, stop) into `out`.
"""

from __future__ import annotations

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
    if rows.ndim != 2 or not np.all((rows == 0) | (rows == 1)) or np.any(rows.sum(1) > 1):
        return None
    return np.where(rows.any(1), rows.argmax(1), rows.shape[1])


def is_one_hot(rows):
    """Whether all rows `[rows, size]` are one-hot or zero, up to rounding."""
    rounded = np.round(rows)
    return one_hot_index(np.where(np.isclose(rows, rounded, atol=1e-3), rounded, -1)) is not None


def compact(rows, blocks=()):
    """The smallest column for an array `[rows, ...]`; `blocks` hold the images before these."""
    if is_image(rows.shape[1:], rows.dtype):
        packed = [pack(rows[i : i + BLOCK_ROWS]) for i in range(0, len(rows), BLOCK_ROWS)]
        return Frames(list(blocks) + packed, rows)
    if (rows == rows[:1]).all():
        return Constant(rows[0].copy(), rows)
    if rows.dtype == np.float32 and rows.ndim == 2 and rows.shape[1] > 1:
        index = one_hot_index(rows)
        if index is not None:
            return OneHot(index.astype(np.uint8 if rows.shape[1] < 256 else np.int32), rows)
    return Plain(np.ascontiguousarray(rows), rows)


class _Column:
    """What is stored for an array `[rows, ...]`."""

    def __init__(self, stored, rows):
        self._stored = stored
        self.shape, self.dtype = rows.shape[1:], rows.dtype
        self.nbytes = sys.getsizeof(stored)


class Plain(_Column):
    """Rows as they are."""

    def read(self, start, stop, out):
        out[:] = self._stored[start:stop]


class Constant(_Column):
    """The same value in every row, such as the level."""

    def read(self, start, stop, out):
        out[:] = self._stored


class OneHot(_Column):
    """One-hot or zero rows, kept as the index of the one."""

    def read(self, start, stop, out):
        out[:] = self._stored[start:stop, None] == np.arange(self.shape[0])


class Frames(_Column):
    """Images in compressed blocks of BLOCK_ROWS rows, so that a window unpacks only its own."""

    def __init__(self, blocks, rows):
        super().__init__(blocks, rows)
        self.nbytes += sum(map(sys.getsizeof, blocks))

    def read(self, start, stop, out):
        for number in range(start // BLOCK_ROWS, -(-stop // BLOCK_ROWS)):
            first = number * BLOCK_ROWS
            block = lz4.block.decompress(self._stored[number])
            rows = np.frombuffer(block, np.uint8).reshape(-1, *self.shape)
            begin, end = max(start, first), min(stop, first + BLOCK_ROWS)
            out[begin - start : end - start] = rows[begin - first : end - first]


def pack(rows):
    """Compress uint8 `[rows, ...]` to bytes."""
    return lz4.block.compress(np.ascontiguousarray(rows), mode='high_compression', compression=4)


REQUIRED = ('action', 'reward', 'is_first', 'is_last', 'is_terminal')

_DTYPES = {
    'action': np.float32,
    'reward': np.float32,
    'is_first': bool,
    'is_last': bool,
    'is_terminal': bool,
    'level': np.int32,
}

STORED = (np.float32, np.int32, np.uint8, bool)


def canonical(key, value):
    """A value of one row, or of several, as it is stored: float32, int32, uint8 or bool."""
    value = np.asarray(value, _DTYPES.get(key))
    if np.issubdtype(value.dtype, np.floating):
        return value.astype(np.float32, copy=False)
    if np.issubdtype(value.dtype, np.integer) and value.dtype != np.uint8:
        return value.astype(np.int32, copy=False)
    return value


def describe_difference(spec, other):
    """Describes where one `{key: (shape, dtype)}` differs from another; empty if nowhere."""
    for key in sorted({*spec, *other}):
        if spec.get(key) != other.get(key):
            has, expected = (
                f'{of[key][1]}{list(of[key][0])}' if key in of else 'nothing'
                for of in (other, spec)
            )
            return f'{key} is {has} in place of {expected}'
    return ''


def check_episode(arrays, rows):
    """Check the arrays of an episode that was read.

    Raises:
        ValueError: a key is missing, has a type that is not stored, or another number of rows or
            of dimensions than an episode of `rows` rows.
    """
    missing = [key for key in REQUIRED if key not in arrays]
    if missing:
        raise ValueError(f'it lacks {", ".join(missing)}')
    for key, value in arrays.items():
        if value.ndim == 0 or len(value) != rows or not rows:
            raise ValueError(f'{key} has the shape {list(value.shape)}, its name says {rows} rows')
        if key in _DTYPES and value.ndim != (2 if key == 'action' else 1):
            raise ValueError(f'{key} has the shape {list(value.shape)}')
        if value.dtype not in STORED:
            raise ValueError(f'{key} is {value.dtype}')


class Episode:
    """A finished (or frozen) episode; immutable.

    Attributes:
        serial: its number in the order of finishing, from 0; -1 for one that is still growing.
        rows: observations, the reset's included.
        steps: transitions, rows - 1.
        level: index of its level in the run's list.
        finished: whether its last row ends it; otherwise windows cannot continue past it.
        terminated: whether it truly ended there rather than by a time limit.
        nbytes: memory it takes.
    """

    def __init__(self, columns, rows, serial=-1, finished=True):
        self.columns = columns
        self.rows = rows
        self.serial = serial
        self.finished = finished
        self.level = int(self.array('level')[-1])
        self.terminated = bool(self.array('is_terminal')[-1])
        self.nbytes = 600 + sum(column.nbytes + 150 for column in columns.values())

    @property
    def steps(self):
        return self.rows - 1

    def read(self, start, stop, out):
        """Write rows [start, stop) of every key into the arrays of `out`."""
        for key, column in self.columns.items():
            column.read(start, stop, out[key])

    def array(self, key):
        """All rows of one key, `[rows, ...]`."""
        column = self.columns[key]
        out = np.empty((self.rows, *column.shape), column.dtype)
        column.read(0, self.rows, out)
        return out

    def arrays(self):
        """All rows: dict of arrays `[rows, ...]`."""
        return {key: self.array(key) for key in self.columns}

    def spec(self):
        """`{key: (shape, dtype)}` of one row."""
        return {key: (column.shape, column.dtype) for key, column in self.columns.items()}


def from_arrays(arrays, serial=-1):
    """The Episode of a dict of arrays `[rows, ...]`, `log_*` left out."""
    columns = {k: compact(v) for k, v in arrays.items() if not k.startswith('log_')}
    return Episode(columns, len(arrays['is_first']), serial)


class EpisodeBuilder:
    """An episode that is being collected; images are compressed block by block."""

    def __init__(self):
        self.rows = 0
        self._values = {}
        self._blocks = {}
        self._logs = {}

    def append(self, row):
        """Add one row, a dict of arrays with the same keys every time (`log_*` apart)."""
        for key, value in row.items():
            if key.startswith('log_'):
                earlier = [np.zeros_like(value)] * (self.rows - len(self._logs.get(key, ())))
                self._logs.setdefault(key, []).extend([*earlier, value])
                continue
            values = self._values.setdefault(key, [])
            if is_image(value.shape, value.dtype) and len(values) == BLOCK_ROWS:
                self._blocks.setdefault(key, []).append(pack(np.stack(values)))
                values.clear()
            # A copy, since the environment may return a view of a screen that changes.
            values.append(np.array(value))
        self.rows += 1

    def freeze(self, finished=True):
        """The rows so far as an Episode."""
        columns = {
            key: compact(np.stack(values), self._blocks.get(key, ()))
            for key, values in self._values.items()
        }
        return Episode(columns, self.rows, finished=finished)

    def logs(self):
        """The `log_*` entries, arrays `[rows, ...]`; 0 in rows that lack one that others have."""
        logs = {}
        for key, values in self._logs.items():
            values = values + [np.zeros_like(values[-1])] * (self.rows - len(values))
            logs[key] = np.stack(values)
        return logs
