"""An episode in memory, and its growth row by row."""

import numpy as np

from dreamerv2.replay.columns import BLOCK_ROWS, Frames, compact, is_image, pack


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
        self.level = int(self._last('level'))
        self.terminated = bool(self._last('is_terminal'))
        self.nbytes = 600 + sum(column.nbytes + 150 for column in columns.values())

    @property
    def steps(self):
        return self.rows - 1

    def _last(self, key):
        column = self.columns[key]
        out = np.zeros((1, *column.shape), column.dtype)
        column.read(self.rows - 1, self.rows, out)
        return out[0]

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
    rows = len(arrays['is_first'])
    columns = {}
    for key, value in arrays.items():
        if key.startswith('log_'):
            continue
        if is_image(value.shape[1:], value.dtype):
            blocks = [pack(value[i : i + BLOCK_ROWS]) for i in range(0, rows, BLOCK_ROWS)]
            columns[key] = Frames(blocks, value.shape[1:])
        else:
            columns[key] = compact(value)
    return Episode(columns, rows, serial)


class EpisodeBuilder:
    """An episode that is being collected; images are compressed as soon as a block is full."""

    def __init__(self):
        self.rows = 0
        self._shapes = {}
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
            self._shapes[key] = value.shape
            values = self._values.setdefault(key, [])
            # A copy, since the environment may return a view of a screen that changes.
            values.append(np.array(value))
            if is_image(value.shape, value.dtype) and len(values) == BLOCK_ROWS:
                self._blocks.setdefault(key, []).append(pack(np.stack(values)))
                values.clear()
        self.rows += 1

    def freeze(self, serial=-1, finished=True):
        """The rows so far as an Episode."""
        columns = {}
        for key, values in self._values.items():
            blocks = list(self._blocks.get(key, ()))
            if blocks or is_image(values[0].shape, values[0].dtype):
                tail = [pack(np.stack(values))] if values else []
                columns[key] = Frames(blocks + tail, self._shapes[key])
            else:
                columns[key] = compact(np.stack(values))
        return Episode(columns, self.rows, serial, finished)

    def logs(self):
        """The `log_*` entries, arrays `[rows, ...]`; 0 in rows that lack one that others have."""
        logs = {}
        for key, values in self._logs.items():
            values = values + [np.zeros_like(values[-1])] * (self.rows - len(values))
            logs[key] = np.stack(values)
        return logs
