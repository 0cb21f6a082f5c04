"""Which rows a training window takes, and how it continues past the end of an episode.

Everything here is a pure function of its arguments (and of the generator passed in). An episode is
a dict of arrays with one row per observation; row 0 is the reset.
"""

from typing import NamedTuple

import numpy as np

PAST_END = ('short', 'all', 'off')


def fewest_rows(past_end, minlen):
    """The number of rows below which an episode cannot be sampled."""
    return minlen if past_end == 'off' else 1


def choose_length(rows, minlen, maxlen, rng):
    """Length in rows of the next piece of an episode, in [minlen, maxlen].

    The spread keeps pieces of an episode from all ending at the same rows; `minlen == maxlen`
    draws nothing.
    """
    if minlen >= maxlen:
        return minlen
    longest = min(rows, maxlen)
    return max(minlen, longest - int(rng.integers(minlen)))


def choose_start(rows, length, past_end, extra, rng):
    """First row of a piece of `length` rows from an episode of `rows` rows.

    Args:
        rows: rows of the episode, at least 1 (and at least `length` with past_end `off`).
        length: rows of the piece.
        past_end: `all` takes any row of the episode with equal chance. `short` and `off` keep the
            piece inside an episode that is long enough; `short` starts at row 0 of a shorter one.
        extra: extra weight of the last possible start: the upper bound of the draw is raised by it
            and the result clipped. With `prioritize_ends` it is the shortest piece's length, so
            that the rare endings are seen more often; 0 gives every start the same chance. Ignored
            with `all`.
        rng: `np.random.Generator`.

    Returns:
        The start, in [0, rows).
    """
    if past_end == 'all':
        return int(rng.integers(rows))
    last = rows - length
    if last <= 0:
        return 0
    return min(int(rng.integers(last + extra + 1)), last)


def random_actions(count, size, discrete, rng):
    """Uniform actions, float32 `[count, size]`: one-hot, or in the box [-1, 1]."""
    if not discrete:
        return rng.uniform(-1.0, 1.0, (count, size)).astype(np.float32)
    actions = np.zeros((count, size), np.float32)
    actions[np.arange(count), rng.integers(size, size=count)] = 1.0
    return actions


def continue_past_end(out, begin, end, terminated, actions):
    """Fill rows [begin, end) of a window that has run past the last row of its episode.

    A terminated episode continues in its absorbing state (thesis, section 5.2): the last
    observation is repeated, the reward is 0, `is_terminal` stays true and the actions are random. A
    truncated one has no known continuation: the rows are padding with all flags false, zero actions
    and `mask` 0.

    Args:
        out: dict of arrays `[length, ...]`, written in place; row `begin - 1` holds the episode's
            last row.
        begin, end: rows to fill, 1 <= begin <= end <= length.
        terminated: whether the episode truly ended.
        actions: `[end - begin, size]`, used if `terminated`.
    """
    if begin >= end:
        return
    for key, value in out.items():
        if key == 'action':
            value[begin:end] = actions if terminated else 0
        elif key == 'reward':
            value[begin:end] = 0
        elif key == 'is_terminal':
            value[begin:end] = terminated
        elif key in ('is_first', 'is_last'):
            value[begin:end] = False
        elif key == 'mask':
            value[begin:end] = 1.0 if terminated else 0.0
        else:
            value[begin:end] = value[begin - 1]


class Piece(NamedTuple):
    """Rows [begin, end) of a window, taken from an episode beginning at `start`.

    `actions` `[rows past the end, size]` are those of the absorbing state, None if there are none.
    """

    episode: object
    start: int
    begin: int
    end: int
    actions: object


def fill_window(out, pieces):
    """Write the pieces that make up one window into a dict of arrays `[length, ...]`.

    Every piece starts with `is_first`, so that the latent state starts fresh there.
    """
    for episode, start, begin, end, actions in pieces:
        stop = min(start + end - begin, episode.rows)
        stored = begin + stop - start
        episode.read(start, stop, {key: out[key][begin:stored] for key in episode.columns})
        out['mask'][begin:stored] = 1.0
        out['is_first'][begin] = True
        continue_past_end(out, stored, end, episode.terminated, actions)
