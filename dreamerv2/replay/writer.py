"""Writes episodes to disk in the background."""

import contextlib
import threading
from collections import OrderedDict
from pathlib import Path

from dreamerv2.errors import StorageError
from dreamerv2.replay import disk


class EpisodeWriter:
    """Writes one episode after another in a thread that runs while there is something to write.

    The thread is not a daemon, so the interpreter waits for it at exit. An episode that could not
    be written stays queued; the error is raised once, by the next `check` or `flush`, after which
    writing is retried.

    Args:
        hold: only queue, until `release`.
    """

    def __init__(self, hold=False):
        self._held = hold
        self._changed = threading.Condition()
        self._queue = OrderedDict()
        self._writing = None
        self._thread = None
        self._error = None

    def release(self) -> None:
        """Write what is queued, and from now on immediately."""
        with self._changed:
            self._held = False
            self._start()

    def put(self, path: Path, episode, logs: dict) -> None:
        """Queue an Episode with its `log_*` arrays."""
        with self._changed:
            self._queue[path] = (episode, logs)
            self._start()

    def delete(self, path: Path) -> None:
        """Delete a file, or forget it if it is still queued."""
        with self._changed:
            if self._queue.pop(path, None) is not None and self._writing != path:
                return
            while self._writing == path:
                self._changed.wait()
        with contextlib.suppress(FileNotFoundError):
            path.unlink()

    def check(self) -> None:
        """Raise the error of an earlier write, if there was one, and continue writing."""
        with self._changed:
            error, self._error = self._error, None
            self._start()
            unsaved = len(self._queue)
        if isinstance(error, StorageError):
            raise error.advised(
                f'make room or check the disk; {unsaved} unsaved episode(s) stay in memory and are '
                'tried again'
            ) from error
        if error is not None:
            raise error

    def flush(self) -> None:
        """Wait until everything is on disk.

        Raises:
            StorageError: something could not be written.
        """
        with self._changed:
            self._error = None
            self._start()
        self.wait()
        self.check()

    def wait(self) -> None:
        """Wait until nothing is being written, whether it succeeded or not."""
        with self._changed:
            while self._thread is not None:
                self._changed.wait()

    def _start(self):
        if self._queue and self._thread is None and not self._held:
            self._thread = threading.Thread(target=self._run, name='episode-writer', daemon=False)
            self._thread.start()

    def _run(self):
        while True:
            with self._changed:
                if not self._queue or self._error is not None:
                    self._thread = None
                    self._changed.notify_all()
                    return
                path, (episode, logs) = next(iter(self._queue.items()))
                self._writing = path
            error = None
            try:
                disk.write_episode(path, {**episode.arrays(), **logs})
            except Exception as caught:  # raised by the next check
                error = caught
            with self._changed:
                self._writing, self._error = None, error
                if error is None:
                    self._queue.pop(path, None)
                self._changed.notify_all()
