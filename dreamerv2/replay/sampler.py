"""Chooses the content of a batch: episodes, rows, and actions past the end."""

from collections.abc import Sequence

import numpy as np

from dreamerv2.errors import UsageError
from dreamerv2.replay.columns import is_one_hot
from dreamerv2.replay.episode import Episode
from dreamerv2.replay.index import EpisodeIndex
from dreamerv2.replay.window import (
    PAST_END,
    Piece,
    choose_length,
    choose_start,
    fewest_rows,
    random_actions,
)


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
        past_end: str = 'short',
        prioritize_ends: bool = True,
        seed: int = 0,
        minlen: int = 0,
        maxlen: int = 0,
        discrete: bool | None = None,
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
        minlen = min(self._minlen or length, length)
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

    def can_choose(self, index: EpisodeIndex, ongoing: Sequence[int], length: int) -> bool:
        """Whether `choose_window` finds an episode; `ongoing` has the unfinished ones' rows."""
        minlen = min(self._minlen or length, length)
        finished = index.at_least(fewest_rows(self._past_end, minlen))
        return len(finished) > 0 or any(rows >= minlen for rows in ongoing)

    def _choose_episode(self, index, ongoing, minlen):
        finished = index.at_least(fewest_rows(self._past_end, minlen))
        unfinished = [episode for episode in ongoing if episode.rows >= minlen]
        count = len(finished) + len(unfinished)
        if not count:
            self._raise_nothing_to_sample(index, minlen)
        number = int(self.rng.integers(count))
        if number < len(finished):
            return finished[number]
        return unfinished[number - len(finished)]

    def _actions(self, episode, count):
        if not count:
            return None
        self.counts['absorbing' if episode.terminated else 'filler'] += count
        if not episode.terminated:
            return None
        discrete = self._all_one_hot if self._discrete is None else self._discrete
        return random_actions(count, episode.columns['action'].shape[0], discrete, self.rng)

    def _raise_nothing_to_sample(self, index, minlen):
        if not len(index):
            raise UsageError(
                'the replay holds no finished episode to sample from: collect at least one first '
                '(a larger --prefill)'
            )
        longest = max(episode.rows for episode in index)
        raise UsageError(
            f'with replay.past_end off no episode is long enough: the longest has {longest} rows, '
            f'a window needs {minlen}; use --replay.past_end short or --dataset.length {longest}'
        )
