"""What a training run shows: a progress bar, or plain lines where there is no terminal."""

from __future__ import annotations

import collections
import contextlib
import errno
import os
import sys
import time
from typing import Any, TextIO

from tqdm import tqdm

RECENT_EPISODES = 10
RATE_SHARE = 0.1  # Fraction of that time needed to estimate a rate.


def clock(seconds: float) -> str:
    """Hours, minutes and seconds: 3:25:08, 25:08."""
    minutes, rest = divmod(max(0, int(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f'{hours}:{minutes:02d}:{rest:02d}' if hours else f'{minutes:02d}:{rest:02d}'


def print_line(text: str, stream: TextIO | None = None) -> None:
    """Prints a line and flushes it; the program continues where it cannot be written.

    The terminal may have been closed (SIGHUP), or the reader of a pipe gone.
    """
    stream = sys.stdout if stream is None else stream
    try:
        print(text, file=stream, flush=True)
    except OSError as error:
        if error.errno in (errno.EIO, errno.EPIPE, errno.ENXIO):  # Nobody is reading this any more.
            with contextlib.suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


class _Display:
    """A progress bar on standard error, or a plain line every `interval` seconds.

    Args:
        total: how many units there are.
        initial: how many were done before.
        stream: where to; a bar is drawn if it is a terminal.
        interval: seconds between two plain lines.
    """

    unit: str  # what is counted

    def __init__(
        self, total: int, initial: int = 0, *, stream: TextIO | None = None, interval: float = 30.0
    ) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._total = total
        self._interval = interval
        self._written = time.monotonic()
        self._bar: Any = None
        if not self._stream.isatty():
            return
        # Some pseudo-terminals claim to have no size; the bar would not be drawn there.
        sized = False
        with contextlib.suppress(OSError, ValueError):
            sized = all(os.get_terminal_size(self._stream.fileno()))
        self._bar = tqdm(
            total=total,
            initial=initial,
            unit=self.unit,
            unit_scale=self.unit == 'frame',
            miniters=0,  # The text next to the bar may change while it does not move.
            **({'dynamic_ncols': True} if sized else {'ncols': 100, 'nrows': 24}),
            file=self._stream,
        )

    def line(self, text: str) -> None:
        """Prints a line, above the bar if there is one."""
        if self._bar is not None:
            self._bar.clear()
        print_line(text, self._stream)
        if self._bar is not None:
            self._bar.refresh()

    def close(self) -> None:
        """Leaves the last state on the screen."""
        if self._bar is not None:
            self._bar.close()

    def _evaluation_line(self, level: str, played: int, steps: int, total: int) -> None:
        now = time.monotonic()
        if now - self._written >= self._interval:
            self.line(f'evaluation  {played}/{total} episodes  {level}, step {steps} of this one')
            self._written = now


class ProgressDisplay(_Display):
    """Shows where a run stands, of `total` frames, `initial` of which were done before."""

    unit = 'frame'

    def __init__(self, total: int, initial: int = 0, **options: Any) -> None:
        super().__init__(total, initial, **options)
        self._returns: collections.deque[float] = collections.deque(maxlen=RECENT_EPISODES)
        self._phase = 'starting'
        self._frames = initial
        self._since = (self._written, initial)  # from where the rate is counted

    def phase(self, name: str) -> None:
        """Names what is being done (prefill, training, evaluation)."""
        self._phase = name
        self._since = (time.monotonic(), self._frames)
        if self._bar is not None:
            self._bar.set_description_str(name)

    def evaluating(self, level: str, played: int, steps: int, total: int) -> None:
        """Shows how far an evaluation is, if it is due: episodes of all levels, and where now."""
        if self._bar is None:
            self._evaluation_line(level, played, steps, total)
            return
        self._bar.set_description_str(f'evaluation {played}/{total}', refresh=False)
        self._bar.update(0)

    def episode(self, score: float) -> None:
        """Counts a finished training episode's return."""
        self._returns.append(score)

    def update(self, frames: int, updates: int) -> None:
        """Shows the current counts, if it is due."""
        new, self._frames = frames - self._frames, frames
        recent = self._returns
        mean = f'{sum(recent) / len(recent):.1f}' if recent else '-'
        if self._bar is not None:
            self._bar.set_postfix_str(f'updates {updates}, return {mean}', refresh=False)
            self._bar.update(new)
            return
        now, (before, frames_before) = time.monotonic(), self._since
        if now - self._written < self._interval or now - before < self._interval * RATE_SHARE:
            return
        rate = (frames - frames_before) / max(now - before, 1e-9)
        speed = f'{rate:.0f} frames/s' if rate >= 10 else f'{rate:.1f} frames/s'
        parts = [self._phase, f'{frames}/{self._total} frames', speed, f'{updates} updates']
        if recent:
            parts.append(f'return {mean} (last {len(recent)})')
        if rate > 0 and frames < self._total:
            parts.append(f'{clock((self._total - frames) / rate)} left')
        self.line('  '.join(parts))
        self._written, self._since = now, (now, frames)


class EvaluationDisplay(_Display):
    """Shows the progress of the evaluation command, of `total` episodes on all levels together."""

    unit = 'episode'

    def update(self, level: str, played: int, steps: int) -> None:
        """Shows the current counts, if it is due."""
        if self._bar is None:
            self._evaluation_line(level, played, steps, self._total)
            return
        self._bar.set_description_str(level, refresh=False)
        self._bar.set_postfix_str(f'step {steps}', refresh=False)
        self._bar.update(played - self._bar.n)
