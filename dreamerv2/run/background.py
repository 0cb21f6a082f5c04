"""Work in background threads, whose failures are raised in the thread that asks for the result."""

from __future__ import annotations

import concurrent.futures
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

Result = TypeVar('Result')


def background(function: Callable[[], Result], name: str) -> Future[Result]:
    """Runs a function in a thread, starting now.

    It is a daemon, unlike those of a pool, so that it does not delay a crash of the main thread.
    """
    future: Future[Result] = Future()

    def run() -> None:
        try:
            future.set_result(function())
        except BaseException as error:  # Raised again in the thread that asks for the result.
            future.set_exception(error)

    threading.Thread(target=run, name=name, daemon=True).start()
    return future


class Saver:
    """Writes one checkpoint at a time in a thread; the next call raises a write's exception."""

    def __init__(self) -> None:
        self._running: Future[Any] | None = None

    def start(self, write: Callable[[], Any]) -> None:
        """Calls `write` in a thread, after the previous write has ended."""
        self.wait()
        self._running = background(write, 'checkpoint')

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
            concurrent.futures.wait([self._running])
