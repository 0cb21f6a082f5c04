"""Stopping in good order on Ctrl-C and a scheduler's signals."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any

from dreamerv2.signals import handled_signals


class StopRequest:
    """Remembers that the run was asked to stop, while it is entered as a context.

    Ctrl-C, SIGTERM, SIGUSR1 and SIGUSR2 (warnings of a cluster) and SIGHUP (a closed terminal) ask
    the run to finish its step and save; what was ignored before stays ignored, see
    `handled_signals`. After the first of them, Ctrl-C ends the process at once and the others are
    ignored: who asks by them may ask several times, as the kernel does for each thread of a parent
    that dies, and has SIGKILL to insist. Outside the main thread, where Python cannot handle
    signals, nothing is caught.
    """

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
            for number in handled_signals():
                self._previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *unused: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous.clear()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.request(signal.Signals(number).name)
        for other in self._previous:
            signal.signal(other, signal.SIG_DFL if other == signal.SIGINT else signal.SIG_IGN)
