"""The signals that ask a run to stop in good order, and how to keep them off for a while."""

import _signal
import contextlib
import signal
import threading
from collections.abc import Iterator
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
