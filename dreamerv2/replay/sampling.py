"""Which rows a batch holds: episodes, windows in them, and how these continue past the end.

Windows are pure functions of their arguments and of the generator passed in (thesis, section 5.2).
Row 0 of an episode is the reset's.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from dreamerv2.errors import UsageError
from dreamerv2.replay.episode import Episode, EpisodeBuilder, is_one_hot

PAST_END = ('short', 'all', 'off')


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
    filling = {
        'action': actions if terminated else 0,
        'reward': 0,
        'is_terminal': terminated,
        'is_first': False,
        'is_last': False,
        'mask': terminated,
    }
    for key, value in out.items():
        value[begin:end] = filling.get(key, value[begin - 1])


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


class EpisodeIndex:
    """A queue of finished episodes, oldest first.

    `at_least(rows)` gives those long enough for a window; such a view is kept up to date from its
    first use on, so that choosing an episode takes constant time.
    """

    def __init__(self, episodes: Iterable[Episode] = ()) -> None:
        self.steps = self.nbytes = 0
        self.level_episodes: Counter[int] = Counter()
        self.level_steps: Counter[int] = Counter()
        self._episodes: deque[Episode] = deque()
        self._views: dict[int, deque[Episode]] = {}
        for episode in episodes:
            self.append(episode)

    def __len__(self) -> int:
        return len(self._episodes)

    def __iter__(self):
        return iter(self._episodes)

    def at_least(self, rows: int) -> deque[Episode]:
        """Episodes of at least `rows` rows, oldest first."""
        if rows <= 1:
            return self._episodes
        if rows not in self._views:
            self._views[rows] = deque(e for e in self._episodes if e.rows >= rows)
        return self._views[rows]

    def append(self, episode: Episode) -> None:
        self._episodes.append(episode)
        for rows, view in self._views.items():
            if episode.rows >= rows:
                view.append(episode)
        self._count(episode, 1)

    def pop_oldest(self) -> Episode:
        episode = self._episodes.popleft()
        for view in self._views.values():
            if view and view[0] is episode:
                view.popleft()
        self._count(episode, -1)
        return episode

    def _count(self, episode, sign):
        self.steps += sign * episode.steps
        self.nbytes += sign * episode.nbytes
        self.level_episodes[episode.level] += sign
        self.level_steps[episode.level] += sign * episode.steps


class Sampler:
    """All random draws of a replay, from one generator. Arguments as in `Replay`.

    Attributes:
        rng: the `np.random.Generator`.
        counts: rows chosen so far (`rows`), and those past the end of a terminated (`absorbing`)
            and of a truncated episode (`filler`).

    Raises:
        UsageError: an impossible value.
    """

    def __init__(
        self,
        past_end: str,
        prioritize_ends: bool,
        seed: int,
        minlen: int,
        maxlen: int,
        discrete: bool | None,
    ) -> None:
        if past_end not in PAST_END:
            raise UsageError(
                f'replay.past_end is {past_end!r}: expected one of {", ".join(PAST_END)}'
            )
        if minlen < 0 or maxlen < 0 or 0 < maxlen < minlen:
            raise UsageError(
                f'replay.minlen is {minlen} and replay.maxlen {maxlen}: expected 0 (the length of '
                f'a window) or more, and minlen not above maxlen'
            )
        self.rng = np.random.default_rng(seed)
        self.counts = {'rows': 0, 'absorbing': 0, 'filler': 0}
        self._past_end = past_end
        self._prioritize_ends = prioritize_ends
        self._minlen, self._maxlen = minlen, maxlen
        self._discrete = discrete
        self._all_one_hot = True

    def see_actions(self, episode: Episode) -> None:
        """Infer from an episode's actions whether they are one-hot or from a box."""
        if self._discrete is None and self._all_one_hot:
            self._all_one_hot = is_one_hot(episode.array('action'))

    def choose_window(
        self, index: EpisodeIndex, ongoing: Sequence[Episode], length: int
    ) -> list[Piece]:
        """The pieces of one window of `length` rows.

        Args:
            index: finished episodes.
            ongoing: unfinished ones that may be sampled too, inside their rows only.
            length: rows of the window.

        Raises:
            UsageError: no episode is long enough, or there is none.
        """
        minlen = self._shortest(length)
        maxlen = max(minlen, min(self._maxlen or length, length))
        pieces, begin = [], 0
        while begin < length:
            episode = self._choose_episode(index, ongoing, minlen)
            piece_length = choose_length(episode.rows, minlen, maxlen, self.rng)
            past_end = self._past_end if episode.finished else 'off'
            extra = minlen if self._prioritize_ends and self._past_end != 'all' else 0
            start = choose_start(episode.rows, piece_length, past_end, extra, self.rng)
            end = min(begin + piece_length, length)
            beyond = max(0, start + end - begin - episode.rows)
            pieces.append(Piece(episode, start, begin, end, self._actions(episode, beyond)))
            begin = end
        self.counts['rows'] += length
        return pieces

    def can_choose(
        self, index: EpisodeIndex, ongoing: Sequence[EpisodeBuilder], length: int
    ) -> bool:
        """Whether `choose_window` finds an episode."""
        return any(self._candidates(index, ongoing, self._shortest(length)))

    def _shortest(self, length):
        """The fewest rows of a piece of a window."""
        return min(self._minlen or length, length)

    def _candidates(self, index, ongoing, minlen):
        """The finished and the unfinished episodes from which a piece can be taken."""
        finished = index.at_least(minlen if self._past_end == 'off' else 1)
        return finished, [episode for episode in ongoing if episode.rows >= minlen]

    def _choose_episode(self, index, ongoing, minlen):
        finished, unfinished = self._candidates(index, ongoing, minlen)
        if finished or unfinished:
            number = int(self.rng.integers(len(finished) + len(unfinished)))
            beyond = number - len(finished)
            return finished[number] if beyond < 0 else unfinished[beyond]
        if not index:
            raise UsageError(
                'the replay holds no finished episode to sample from: collect at least one first '
                '(a larger --prefill)'
            )
        longest = max(episode.rows for episode in index)
        raise UsageError(
            f'with replay.past_end off no episode is long enough: the longest has {longest} rows, '
            f'a window needs {minlen}; use --replay.past_end short or --dataset.length {longest}'
        )

    def _actions(self, episode, count):
        if not count:
            return None
        self.counts['absorbing' if episode.terminated else 'filler'] += count
        if not episode.terminated:
            return None
        discrete = self._all_one_hot if self._discrete is None else self._discrete
        return random_actions(count, episode.columns['action'].shape[0], discrete, self.rng)
