"""The folder of episode files of one replay: what is loaded, written, dropped and quarantined."""

import logging
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from dreamerv2.cores import usable_cores
from dreamerv2.errors import UsageError
from dreamerv2.replay import disk
from dreamerv2.replay.episode import Episode, from_arrays
from dreamerv2.replay.writer import EpisodeWriter

logger = logging.getLogger(__name__)


class EpisodeArchive:
    """Files of one directory, without other writers.

    Attributes:
        steps, episodes: of all intact files, loaded or not.
        next_serial: the lowest number above those of all files.

    Raises:
        UsageError: the directory is a file, or holds episodes of other levels.

    With `hold` nothing is made or written before `release`; for a directory that does not exist.
    """

    def __init__(
        self, directory: Path, levels: list[str] | None, keep_on_disk: bool, hold: bool
    ) -> None:
        self.directory = directory
        self.levels = levels
        self.steps = self.episodes = self.next_serial = 0
        self._keep_on_disk = keep_on_disk
        self._writer = EpisodeWriter(hold)
        self._paths: dict[int, Path] = {}
        # Files of evicted episodes: those that the second to last checkpoint may need, those that
        # the last one may need, and later ones.
        self._doomed: list[list[Path]] = [[], [], []]
        self._checkpointed = False
        if not hold:
            self.release()

    def release(self) -> None:
        """Make the directory and start writing. Raises as the constructor."""
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            raise UsageError(
                f'{self.directory} is not a directory: choose another logdir or move the file away'
            ) from None
        self.levels = disk.keep_levels(self.directory, self.levels)
        for interrupted in self.directory.glob('*.tmp'):
            interrupted.unlink(missing_ok=True)
        self._writer.release()

    def load(self, capacity: int, loaded: Mapping[int, Episode]) -> list[Episode]:
        """The newest episodes of up to `capacity` steps (0: all), oldest first.

        Every file is checked, loaded or not; damaged ones are logged and moved to `quarantine/`.
        Episodes in `loaded`, by serial number, are not read again.
        """
        files = disk.list_files(self.directory)
        self.next_serial = files[-1].serial + 1 if files else 0
        episodes, checked = dict(loaded), set(loaded)
        # zlib, lz4 and hashlib let other threads run.
        with ThreadPoolExecutor(min(16, usable_cores())) as pool:
            while True:
                wanted = newest_within(files, capacity)
                rest = files[: len(files) - len(wanted)]
                unread = [file for file in wanted if file.serial not in episodes]
                unchecked = [file for file in rest if file.serial not in checked]
                read = list(pool.map(_read, unread))
                episodes |= {episode.serial: episode for episode in read if episode}
                intact = pool.map(lambda file: _arrays(file) is not None, unchecked)
                seen, good = unread + unchecked, [*read, *intact]
                checked |= {file.serial for file in seen}
                bad = {file for file, fine in zip(seen, good, strict=True) if not fine}
                if not bad:
                    break
                files = [file for file in files if file not in bad]  # Older ones replace them.
        self._paths = {file.serial: file.path for file in files}
        # A checkpoint may need what is there.
        self._checkpointed = self._checkpointed or bool(files)
        self._doomed = [[], [], [] if self._keep_on_disk else [file.path for file in rest]]
        self.episodes = len(files)
        self.steps = sum(file.steps for file in files)
        return [episodes[file.serial] for file in wanted]

    def put(self, episode: Episode, logs: dict[str, np.ndarray]) -> None:
        """Write a finished episode in the background."""
        file = disk.new_file(self.directory, episode.serial, episode.rows)
        self._paths[episode.serial] = file.path
        self._writer.put(file.path, episode, logs)

    def evict(self, episode: Episode) -> None:
        """Drop the file of an episode that left memory.

        Once there are checkpoints this waits for three more, so that a run that resumes from the
        last complete one, or the one before it because that is damaged, finds its episodes.
        """
        path = self._paths.pop(episode.serial, None)
        if path is None or self._keep_on_disk:
            return
        if self._checkpointed:
            self._doomed[-1].append(path)
        else:
            self._writer.delete(path)

    def checkpoint(self) -> None:
        """Wait for pending writes and drop the files that only older checkpoints need."""
        self._writer.flush()
        for path in self._doomed[0]:
            self._writer.delete(path)
        self._doomed = [*self._doomed[1:], []]
        self._checkpointed = True

    def supersede(self, serial: int) -> bool:
        """Move the files of episodes numbered `serial` and above to `superseded/`, if any."""
        self._writer.flush()
        files = [file for file in disk.list_files(self.directory) if file.serial >= serial]
        for file in files:
            disk.move_aside(file, 'superseded')
        if files:
            folder = self.directory / 'superseded'
            logger.warning('Moved %d episodes newer than the checkpoint to %s.', len(files), folder)
        return bool(files)

    def check(self) -> None:
        """Raise the OSError of a write in the background that failed, once."""
        self._writer.check()

    def flush(self) -> None:
        """Wait until every finished episode is on disk; raises OSError if one cannot be written."""
        self._writer.flush()


def newest_within(files: list[disk.EpisodeFile], capacity: int) -> list[disk.EpisodeFile]:
    """The newest of files sorted by age that hold up to `capacity` steps, at least one; 0: all."""
    if not capacity:
        return files
    steps = count = 0
    for file in reversed(files):
        steps += file.steps
        if count and steps > capacity:
            break
        count += 1
    return files[len(files) - count :]


def _read(file: disk.EpisodeFile) -> Episode | None:
    arrays = _arrays(file)
    return None if arrays is None else from_arrays(arrays, file.serial)


def _arrays(file: disk.EpisodeFile) -> dict[str, np.ndarray] | None:
    """A file's arrays; None if it is damaged and was quarantined."""
    try:
        return disk.read_episode(file)
    except disk.DamagedEpisodeError as damage:
        try:
            target = disk.move_aside(file, 'quarantine')
        except OSError as error:
            logger.warning('Left out the damaged episode %s; moving it failed: %s', damage, error)
        else:
            logger.warning('Moved a damaged episode to %s: %s', target, damage)
        return None
