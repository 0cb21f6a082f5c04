"""Writes checkpoints in the background."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dreamerv2.run.background import Background


class Saver:
    """Writes one checkpoint at a time in a thread.

    An exception of a write is raised by the next call.
    """

    def __init__(self) -> None:
        self._running: Background[Any] | None = None

    def start(self, write: Callable[[], Any]) -> None:
        """Calls `write` in a thread, after the previous write has ended."""
        self.wait()
        self._running = Background(write, 'checkpoint')

    def check(self) -> None:
        """Raises the exception of a write that failed, without waiting."""
        if self._running is not None and self._running.done():
            self.wait()

    def wait(self) -> None:
        """Waits until what was started is on disk."""
        running, self._running = self._running, None
        if running is not None:
            running.result()

    def close(self) -> None:
        """Waits and ignores failures: for cleaning up after another error."""
        if self._running is not None:
            self._running.wait()
