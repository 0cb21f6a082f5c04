"""A plain list model of a replay, and steps whose every value tells which row they are."""

from math import erfc, sqrt

import numpy as np

ACTIONS = 5
LEVELS = 3


def make_row(number, first, last, terminal, level=0):
    """Row `number` (from 1): all values follow from it, so that a sampled row can be traced."""
    action = np.zeros(ACTIONS, np.float32)
    if not first:
        action[number % ACTIONS] = 1.0
    pixels = np.arange(6 * 5 * 2) * 7 + number * 13
    return {
        'image': (pixels % 256).astype(np.uint8).reshape(6, 5, 2),
        'vector': np.array([number, -0.5 * number, 1 / number], np.float32),
        'action': action,
        'reward': np.float32(number),
        'is_first': first,
        'is_last': last,
        'is_terminal': terminal,
        'level': np.int32(level),
        'log_x': np.float32(number * 2),
    }


class ListModel:
    """Episodes as lists of rows; drives a replay with the same rows."""

    def __init__(self, capacity=0):
        self.capacity = capacity
        self.finished = []
        self.partial = {}
        self.episodes = self.steps = self.dropped_episodes = self.dropped_steps = 0
        self._number = 0

    def add_rows(self, replay, rows, end=None, worker=0, reset=False):
        """Add `rows` rows; `end`: 'terminated', 'truncated' or None to leave the episode open."""
        if reset:
            self._drop(worker)
        for i in range(rows):
            first = worker not in self.partial
            last = end is not None and i == rows - 1
            self._number += 1
            row = make_row(
                self._number, first, last, last and end == 'terminated', self._level(worker)
            )
            replay.add_step(row, worker)
            self.partial.setdefault(worker, []).append(row)
            if last:
                self._finish(self.partial.pop(worker))

    def drop(self, replay, worker=None):
        replay.drop_partial(worker)
        for name in list(self.partial) if worker is None else [worker]:
            self._drop(name)

    def _level(self, worker):
        rows = self.partial.get(worker)
        return int(rows[0]['level']) if rows else self._number % LEVELS

    def _drop(self, worker):
        rows = self.partial.pop(worker, None)
        if rows:
            self.dropped_episodes += 1
            self.dropped_steps += len(rows) - 1

    def _finish(self, rows):
        self.finished.append(rows)
        self.episodes += 1
        self.steps += len(rows) - 1
        while self.capacity and len(self.finished) > 1 and self.loaded_steps > self.capacity:
            self.finished.pop(0)

    @property
    def loaded_steps(self):
        return sum(len(rows) - 1 for rows in self.finished)


def check_window(window, model, past_end, ongoing=False, whole=True):
    """Assert that a window `[length, ...]` is what the semantics allow; returns (episode, start).

    Args:
        window: dict of arrays, one window of a batch.
        model: the ListModel with the rows that were added.
        past_end: mode it was sampled with.
        ongoing: whether it may come from an unfinished episode.
        whole: False if it is a piece, whose length is not the one that `past_end` is about.
    """
    length = len(window['reward'])
    assert window['is_first'][0]
    assert window['mask'][0] == 1
    episodes = model.finished + (list(model.partial.values()) if ongoing else [])
    number = window['reward'][0]
    (found,) = (
        (e, s)
        for e, rows in enumerate(episodes)
        for s, r in enumerate(rows)
        if r['reward'] == number
    )
    episode, start = found
    rows = episodes[episode]
    beyond = start + length - len(rows)
    if past_end == 'off' or not rows[-1]['is_last']:
        assert beyond <= 0
    if past_end == 'short' and whole:
        assert beyond <= 0 or start == 0
    for t in range(length):
        row = {key: value[t] for key, value in window.items()}
        if start + t < len(rows):
            check_stored(row, rows[start + t], first=t == 0)
        else:
            check_continued(row, rows[-1])
    return episode, start


def check_stored(row, stored, first):
    expected = {key: value for key, value in stored.items() if not key.startswith('log_')}
    expected |= {'mask': 1.0}
    if first:
        expected['is_first'] = True
    assert set(row) == set(expected)
    for key, value in expected.items():
        np.testing.assert_array_equal(row[key], value, err_msg=key)


def check_continued(row, last):
    """A row past the end: absorbing after a terminated episode, filler after a truncated one."""
    terminated = bool(last['is_terminal'])
    for key in ('image', 'vector', 'level'):
        np.testing.assert_array_equal(row[key], last[key], err_msg=key)
    assert row['reward'] == 0
    assert not row['is_first']
    assert not row['is_last']
    assert row['is_terminal'] == terminated
    assert row['mask'] == float(terminated)
    assert row['action'].sum() == float(terminated)
    assert set(np.unique(row['action'])) <= {0.0, 1.0}


def chi_square_p(observed, expected):
    """p-value of Pearson's test (Wilson and Hilferty's approximation of the tail)."""
    observed, expected = np.asarray(observed, float), np.asarray(expected, float)
    degrees = len(observed) - 1
    statistic = ((observed - expected) ** 2 / expected).sum()
    spread = 2 / (9 * degrees)
    z = ((statistic / degrees) ** (1 / 3) - (1 - spread)) / sqrt(spread)
    return erfc(z / sqrt(2)) / 2
