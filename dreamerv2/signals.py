"""The signals that ask a run to stop cleanly: handling, blocking and deferring them."""

from __future__ import annotations

import _signal
import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

# Ctrl-C, a batch system's termination, the warnings of clusters (submitit's is SIGUSR2), and a
# closed terminal or ssh connection; not every system has the last three.
STOP_SIGNALS = tuple(
    getattr(signal, name)
    for name in ('SIGINT', 'SIGTERM', 'SIGUSR1', 'SIGUSR2', 'SIGHUP')
    if hasattr(signal, name)
)


def handled_signals() -> tuple[signal.Signals, ...]:
    """The stop signals that a run reacts to.

    Signals ignored when this process started stay ignored, as SIGHUP under `nohup`, except Ctrl-C,
    which shells make background jobs of a script ignore, and SIGTERM, by which a study stops its
    runs.
    """
    always = (signal.SIGINT, signal.SIGTERM)
    return tuple(
        number
        for number in STOP_SIGNALS
        if number in always or signal.getsignal(number) is not signal.SIG_IGN
    )


@contextlib.contextmanager
def signals_blocked() -> Iterator[None]:
    """Children started inside never receive these signals, not even before they ignore them."""
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


class InterruptDeferred:
    """Ctrl-C raises KeyboardInterrupt at the end of the block, not in the middle of it.

    Pressed twice it raises at once, in case the block hangs. This applies only to Python's default
    handler in the main thread; other handlers are left in place. It is entered at every step, hence
    `_signal`: `signal` converts every handler to an enum first and is ten times slower.
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
    the run to finish its step and save; those ignored before stay ignored, see `handled_signals`.
    After the first one, Ctrl-C ends the process at once and the others are ignored: they may be
    sent several times, as by the kernel for each thread of a parent that dies, and there is SIGKILL
    to insist. Outside the main thread, where Python cannot handle signals, nothing is caught.
    """

    def __init__(self) -> None:
        self.signal_name = ''
        self._previous: dict[int, Any] = {}

    def __call__(self) -> bool:
        """Whether a stop was requested."""
        return bool(self.signal_name)

    def request(self, name: str) -> None:
        """Requests a stop; `name` says what requested it."""
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
