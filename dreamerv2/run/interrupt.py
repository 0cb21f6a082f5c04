"""Stopping in good order on Ctrl-C and SIGTERM."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any


class StopRequest:
    """Remembers that the run was asked to stop, while it is entered as a context.

    The first Ctrl-C or SIGTERM asks the run to finish its step and save; after it both signals
    have their usual effect again, so a second one ends the process at once. Outside the main
    thread, where Python cannot handle signals, nothing is caught.
    """

    SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self) -> None:
        self.signal_name = ''
        self._previous: dict[int, Any] = {}

    def __call__(self) -> bool:
        """Whether a stop was asked for."""
        return bool(self.signal_name)

    def request(self, name: str) -> None:
        """Asks for a stop, by the name of what asks."""
        self.signal_name = self.signal_name or name

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():
            for number in self.SIGNALS:
                self._previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *unused: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous.clear()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.request(signal.Signals(number).name)
        for other in self.SIGNALS:
            signal.signal(other, signal.SIG_DFL)
