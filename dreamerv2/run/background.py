"""Work in a background thread, whose failures are raised in the main thread."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

Result = TypeVar('Result')


class Background(Generic[Result]):
    """Runs a function in a thread, starting now.

    The thread is a daemon, so that it does not delay a crash of the main thread.
    """

    def __init__(self, function: Callable[[], Result], name: str) -> None:
        self._function = function
        self._result: Result
        self._error: BaseException | None = None
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._result = self._function()
        except BaseException as error:  # Raised again in the thread that asks for the result.
            self._error = error
        finally:
            self._done.set()

    def check(self) -> None:
        """Raises the function's exception, if it has failed by now."""
        if self._done.is_set() and self._error is not None:
            raise self._error

    def done(self) -> bool:
        """Whether the function has ended, well or not."""
        return self._done.is_set()

    def wait(self) -> None:
        """Waits for the end, ignoring failures."""
        self._thread.join()

    def result(self) -> Result:
        """Waits for the function and returns its result, or raises its exception.

        Waits in short intervals, so that signals are handled meanwhile.
        """
        while not self._done.wait(0.2):
            pass
        self.check()
        return self._result
