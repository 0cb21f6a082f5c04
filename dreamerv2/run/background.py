"""Work in a thread beside the main one, whose failure surfaces at once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

Result = TypeVar('Result')


class Background(Generic[Result]):
    """Runs a function in a thread, from now on.

    The thread is a daemon, so that a crash of the main thread is not held up by it.
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
        """Raises what the function raised, if it has failed by now."""
        if self._done.is_set() and self._error is not None:
            raise self._error

    def done(self) -> bool:
        """Whether the function has ended, well or not."""
        return self._done.is_set()

    def wait(self) -> None:
        """Waits for the end without asking how it ended."""
        self._thread.join()

    def result(self) -> Result:
        """The function's result, waited for; raises what it raised.

        Waits in short turns, so that signals are handled meanwhile.
        """
        while not self._done.wait(0.2):
            pass
        self.check()
        return self._result
