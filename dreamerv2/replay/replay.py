"""What the agent has experienced: collects steps, keeps episodes, samples batches."""

import logging
import os
import threading
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from dreamerv2.errors import UsageError
from dreamerv2.paths import expand_home
from dreamerv2.replay.archive import EpisodeArchive
from dreamerv2.replay.episode import (
    REQUIRED,
    Episode,
    EpisodeBuilder,
    canonical,
    describe_difference,
)
from dreamerv2.replay.sampling import EpisodeIndex, Sampler, fill_window

logger = logging.getLogger(__name__)


class Replay:
    """Episodes in memory and on disk, and windows sampled from them.

    An episode is drawn uniformly, then a window in it, so that every level weighs about the same
    however long its episodes are. Memory holds the newest episodes of up to `capacity` steps,
    compressed; disk holds one `.npz` file each (see `disk`). Methods may be called from several
    threads; one directory takes one writer.

    Args:
        directory: folder of the episode files, made if it does not exist and loaded if it does.
            None keeps everything in memory only.
        capacity: steps (transitions) kept, 0 for no limit. The newest episode always stays.
        past_end: `short`: an episode shorter than the window starts at its first row and continues
            past its end; `all`: windows start anywhere and continue past the end of any episode;
            `off`: shorter episodes are never sampled.
        prioritize_ends: weights the last window of an episode like `minlen` further starts
            (ignored with past_end `all`).
        seed: of the replay's own random generator.
        levels: names of the levels that `level` indexes, kept in `levels.json`; None reads them
        from there.
        minlen, maxlen: 0 is the window's length: every window is from one episode. Other values
            join pieces of at least `minlen` and at most `maxlen` rows, each starting with
            `is_first`, until the window is full.
        ongoing: sample unfinished episodes too, once they have `minlen` rows; never past their end.
        keep_on_disk: keep the files of episodes that the capacity drops from memory.
        discrete: whether actions are one-hot (else in the box [-1, 1]); None infers it from the
        data.
        hold: write nothing before `release`; for a directory that does not exist yet.

    Raises:
        UsageError: an impossible value, or a directory that is a file or holds other levels.
    """

    def __init__(
        self,
        directory: str | os.PathLike | None,
        capacity: int = 2_500_000,
        past_end: str = 'short',
        prioritize_ends: bool = True,
        seed: int = 0,
        *,
        levels: list[str] | None = None,
        minlen: int = 0,
        maxlen: int = 0,
        ongoing: bool = False,
        keep_on_disk: bool = False,
        discrete: bool | None = None,
        hold: bool = False,
    ) -> None:
        if capacity < 0:
            raise UsageError(f'replay.capacity is {capacity}: expected 0 (no limit) or more steps')
        self._capacity = int(capacity)
        self._ongoing = ongoing
        self._sampler = Sampler(past_end, prioritize_ends, seed, minlen, maxlen, discrete)
        self._lock = threading.Lock()
        self._index = EpisodeIndex()
        self._partial: dict[Any, EpisodeBuilder] = {}
        self._spec: dict[str, tuple[tuple[int, ...], np.dtype]] = {}
        self._next_serial = 0
        self._totals = {'episodes': 0, 'steps': 0, 'dropped_episodes': 0, 'dropped_steps': 0}
        self._archive: EpisodeArchive | None = None
        self.levels = levels
        if directory is not None:
            self._archive = EpisodeArchive(expand_home(directory), levels, keep_on_disk, hold)
            self.levels = self._archive.levels
            self._load(self._archive)
            self._totals |= {'episodes': self._archive.episodes, 'steps': self._archive.steps}

    def release(self) -> None:
        """Write what was collected so far, and to disk from now on; see `hold`."""
        if self._archive:
            self._archive.release()

    # Collecting

    def add_step(self, step: Mapping[str, Any], worker: Any = 0) -> None:
        """Add one row: an observation and the action that led to it.

        Args:
            step: `image` uint8 or vectors float32, `action` float32 `[size]` (zeros in the first
                row), `reward`, `is_first`, `is_last`, `is_terminal`, `level` (0 if absent), and
                `log_*` entries, which go to disk only. The episode ends with `is_last`.
            worker: index of the environment.

        Raises:
            UsageError: keys, shapes or dtypes differ from earlier rows.
            ValueError: a key is missing, or an episode starts without `is_first`.
            OSError: an earlier episode could not be written to disk. The step was not added; the
            episode stays in memory and is written later.
        """
        if self._archive:
            self._archive.check()
        row = {key: canonical(key, value) for key, value in step.items()}
        row.setdefault('level', canonical('level', 0))
        with self._lock:
            self._check_row(row)
            if row['is_first']:
                self._drop(worker)
            elif worker not in self._partial:
                raise ValueError(f'the first step of an episode of worker {worker} lacks is_first')
            builder = self._partial.setdefault(worker, EpisodeBuilder())
            builder.append(row)
            if row['is_last']:
                del self._partial[worker]
                self._append(builder.freeze(), builder.logs())

    def append(self, episode: Episode) -> None:
        """Add a finished Episode, which takes the next serial number."""
        with self._lock:
            self._append(episode, {})

    def episodes(self) -> list[Episode]:
        """The finished episodes in memory, oldest first."""
        with self._lock:
            return list(self._index)

    def unfinished(self) -> dict[Any, dict[str, np.ndarray]]:
        """The unfinished episodes by worker: arrays `[rows, ...]` of everything added."""
        with self._lock:
            return {
                worker: {**builder.freeze(finished=False).arrays(), **builder.logs()}
                for worker, builder in self._partial.items()
            }

    def drop_partial(self, worker: Any = None) -> None:
        """Forget the unfinished episode of one worker, or of all."""
        with self._lock:
            for name in list(self._partial) if worker is None else [worker]:
                self._drop(name)

    # Sampling

    def sample(self, batch: int, length: int) -> dict[str, np.ndarray]:
        """Draw windows.

        Returns:
            Dict of arrays `[batch, length, ...]`: the keys added (`log_*` apart), `level` and
            `mask` float32, 0 in padding after a truncated episode.

        Raises:
            UsageError: there is no episode that can be sampled.
        """
        return self.choose(batch, length)()

    def choose(self, batch: int, length: int) -> Callable[[], dict[str, np.ndarray]]:
        """Draw windows now; the function returned assembles them later, in any thread.

        Rows added in between do not matter. Returns and raises as `sample`.
        """
        with self._lock:
            ongoing = [b.freeze(finished=False) for b in self._partial.values() if self._ongoing]
            windows = [
                self._sampler.choose_window(self._index, ongoing, length) for _ in range(batch)
            ]
            spec = self._spec

        def assemble() -> dict[str, np.ndarray]:
            out = {key: np.empty((batch, length, *s), dtype) for key, (s, dtype) in spec.items()}
            out['mask'] = np.empty((batch, length), np.float32)
            for row, pieces in enumerate(windows):
                fill_window({key: value[row] for key, value in out.items()}, pieces)
            return out

        return assemble

    def can_sample(self, length: int) -> bool:
        """Whether there are episodes from which windows of `length` rows can be sampled."""
        with self._lock:
            ongoing = list(self._partial.values()) if self._ongoing else []
            return self._sampler.can_choose(self._index, ongoing, length)

    # Counts and state

    @property
    def stats(self) -> dict[str, float]:
        """Statistics. Totals count all finished episodes ever added, `loaded_*` those in memory.

        `bytes` is their memory. `absorbing_fraction` and `filler_fraction` are of all rows sampled
        so far. With level names there are `loaded_episodes/NAME` and `loaded_steps/NAME`.
        """
        with self._lock:
            sampled = self._sampler.counts
            rows = max(1, sampled['rows'])
            stats: dict[str, float] = {
                'total_steps': self._totals['steps'],
                'total_episodes': self._totals['episodes'],
                'dropped_steps': self._totals['dropped_steps'],
                'dropped_episodes': self._totals['dropped_episodes'],
                'loaded_steps': self._index.steps,
                'loaded_episodes': len(self._index),
                'partial_steps': sum(b.rows - 1 for b in self._partial.values()),
                'bytes': self._index.nbytes,
                'absorbing_fraction': sampled['absorbing'] / rows,
                'filler_fraction': sampled['filler'] / rows,
            }
            for number, name in enumerate(self.levels or ()):
                stats[f'loaded_episodes/{name}'] = self._index.level_episodes[number]
                stats[f'loaded_steps/{name}'] = self._index.level_steps[number]
            return stats

    def get_state(self) -> dict[str, Any]:
        """State for a checkpoint, of JSON types; waits until every episode is on disk.

        `next_serial` is the high-water mark: later episodes have this number or a higher one.
        Unfinished episodes are not included: see `unfinished`.

        Raises:
            OSError: an episode cannot be written.
        """
        if self._archive:
            self._archive.checkpoint()
        with self._lock:
            return {
                'next_serial': self._next_serial,
                'random': self._sampler.rng.bit_generator.state,
                'totals': dict(self._totals),
                'sampled': dict(self._sampler.counts),
            }

    def set_state(self, state: Mapping[str, Any], discard_newer: bool = True) -> None:
        """Resume from a checkpoint of the same directory.

        Args:
            state: from `get_state`.
            discard_newer: drop the episodes added after it from memory and move their files to
                `superseded/`, so that the run continues exactly as it would have. False keeps them.
        """
        self.drop_partial()
        self.flush()
        mark = state['next_serial']
        with self._lock:
            self._sampler.rng.bit_generator.state = state['random']
            self._totals = dict(state['totals'])
            self._sampler.counts = dict(state['sampled'])
            if not discard_newer:
                newer = [episode for episode in self._index if episode.serial >= mark]
                self._totals['episodes'] += len(newer)
                self._totals['steps'] += sum(episode.steps for episode in newer)
                self._next_serial = max(mark, self._next_serial)
                return
            self._index = EpisodeIndex(e for e in self._index if e.serial < mark)
        if self._archive and self._archive.supersede(mark):
            self._load(self._archive)
        self._next_serial = mark

    def flush(self) -> None:
        """Wait until every finished episode is on disk; raises OSError if that fails."""
        if self._archive:
            self._archive.flush()

    close = flush  # The replay can still be read.

    # Inside the lock

    def _load(self, archive):
        loaded = {episode.serial: episode for episode in self._index}
        episodes = archive.load(self._capacity, loaded)
        if episodes and not self._spec:
            self._spec = episodes[-1].spec()
        fitting = []
        for episode in episodes:
            if difference := describe_difference(self._spec, episode.spec()):
                logger.warning(
                    'Skipped episode %d of %s: %s', episode.serial, archive.directory, difference
                )
            else:
                fitting.append(episode)
                self._sampler.see_actions(episode)
        self._index = EpisodeIndex(fitting)
        self._next_serial = archive.next_serial

    def _check_row(self, row):
        spec = {k: (v.shape, v.dtype) for k, v in row.items() if not k.startswith('log_')}
        if not self._spec:
            if missing := [key for key in REQUIRED if key not in spec]:
                raise ValueError(f'the step lacks {", ".join(missing)}; it has {", ".join(row)}')
            self._spec = spec
        if difference := describe_difference(self._spec, spec):
            raise UsageError(
                f'{difference} in the episodes collected before: '
                f'use another logdir for another environment'
            )

    def _drop(self, worker):
        if builder := self._partial.pop(worker, None):
            self._totals['dropped_episodes'] += 1
            self._totals['dropped_steps'] += builder.rows - 1

    def _append(self, episode, logs):
        self._spec = self._spec or episode.spec()
        episode.serial = self._next_serial
        self._next_serial += 1
        self._totals['episodes'] += 1
        self._totals['steps'] += episode.steps
        self._index.append(episode)
        self._sampler.see_actions(episode)
        if self._archive:
            self._archive.put(episode, logs)
        while self._capacity and len(self._index) > 1 and self._index.steps > self._capacity:
            oldest = self._index.pop_oldest()
            if self._archive:
                self._archive.evict(oldest)
