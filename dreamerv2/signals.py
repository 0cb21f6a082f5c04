"""The signals that ask a run to stop in good order: heeding them, keeping them off for a while."""

from __future__ import annotations

import _signal
import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

# Ctrl-C, a batch system's end, the warnings of clusters (submitit's is SIGUSR2), and a terminal or
# ssh connection that is closed; not every system has the last three.
STOP_SIGNALS = tuple(
    getattr(signal, name)
    for name in ('SIGINT', 'SIGTERM', 'SIGUSR1', 'SIGUSR2', 'SIGHUP')
    if hasattr(signal, name)
)


def handled_signals() -> tuple[signal.Signals, ...]:
    """Those of the stop signals that a run acts on.

    What this process was started to ignore stays ignored, as SIGHUP under `nohup`. Not so Ctrl-C,
    which shells have the background jobs of a script ignore, and SIGTERM, by which a study stops
    its runs.
    """
    always = (signal.SIGINT, signal.SIGTERM)
    return tuple(
        number
        for number in STOP_SIGNALS
        if number in always or signal.getsignal(number) is not signal.SIG_IGN
    )


@contextlib.contextmanager
def signals_blocked() -> Iterator[None]:
    """Children started inside never see these signals, not even before they ignore them."""
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


class InterruptDeferred:
    """Ctrl-C raises KeyboardInterrupt at the end, not in the middle of an exchange.

    Pressed twice it raises at once, in case what is waited for hangs. Only Python's own handler
    raises, and only in the main thread; a program's own handler is left in place. Made for what
    happens at every step: `_signal` is what is behind `signal`, which looks for each handler among
    its enums first and takes ten times as long.
    """

    def __enter__(self) -> None:
        self._pressed = False
        ours = threading.current_thread() is threading.main_thread()
        self._replaced = ours and _signal.getsignal(signal.SIGINT) is signal.default_int_handler
        if self._replaced:
            _signal.signal(signal.SIGINT, self._note)

    def __exit__(self, *details: object) -> None:
        if self._replaced:
            _signal.signal(signal.SIGINT, signal.default_int_handler)
        if self._pressed:
            raise KeyboardInterrupt

    def _note(self, number: int, frame: Any) -> None:
        if self._pressed:
            signal.default_int_handler(number, frame)
        self._pressed = True


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
