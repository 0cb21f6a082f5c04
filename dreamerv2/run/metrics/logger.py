"""Metrics: collected, averaged, and written to files by a background thread."""

from __future__ import annotations

import contextlib
import math
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np


class Output(Protocol):
    """Where metrics are written to."""

    def write(self, step: int, scalars: Mapping[str, Any], videos: Mapping[str, Any]) -> None:
        """Writes scalars, and videos uint8 `[T, H, W, C]`, of a step in frames."""

    def close(self) -> None:
        """Finishes what was written."""


class MetricMeans:
    """Collects metrics until they are logged.

    Values may be tensors: only `take` turns them into numbers, so that updates do not wait for the
    GPU.
    """

    def __init__(self) -> None:
        self._values: dict[str, list[Any]] = {}
        self._sums: dict[str, tuple[float, int]] = {}

    def add(self, metrics: Mapping[str, Any]) -> None:
        """Adds one update's metrics by name: scalars, or `[sum, count]` of several values."""
        for name, value in metrics.items():
            self._values.setdefault(name, []).append(value)

    def take(self) -> dict[str, float]:
        """The mean of each metric since the last call; resets them."""
        self._add_up()
        sums, self._sums = self._sums, {}
        return {name: total / count for name, (total, count) in sums.items() if count}

    def get_state(self) -> dict[str, list[float | int | None]]:
        """What is collected: sum (None where it is not finite) and count by name."""
        self._add_up()
        return {k: [s if math.isfinite(s) else None, n] for k, (s, n) in self._sums.items()}

    def set_state(self, state: Mapping[str, Sequence[Any]]) -> None:
        """Takes what `get_state` gave."""
        self._values = {}
        nan = math.nan
        self._sums = {k: (nan if s is None else float(s), int(n)) for k, (s, n) in state.items()}

    def _add_up(self) -> None:
        values, self._values = self._values, {}
        for name, entries in values.items():
            total, count = self._sums.get(name, (0.0, 0))
            for entry in map(np.asarray, entries):
                total += float(entry[0] if entry.ndim else entry)
                count += int(entry[1]) if entry.ndim else 1
            self._sums[name] = total, count


class Throughput:
    """Measures frames per second and updates per agent step.

    Args:
        repeat: frames per agent step.
        clock: returns seconds.
    """

    def __init__(self, repeat: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._repeat = repeat
        self._clock = clock
        self.start(0, 0)

    def start(self, step: int, updates: int) -> None:
        """Starts counting at these counts of agent steps and updates."""
        self._began, self._step, self._updates = self._clock(), step, updates

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Leaves out the time spent inside, such as an evaluation's."""
        before = self._clock()
        try:
            yield
        finally:
            self._began += self._clock() - before

    def take(self, step: int, updates: int) -> dict[str, float]:
        """`fps` and `train_ratio` since the last call; resets both."""
        steps, seconds = step - self._step, self._clock() - self._began
        ratio = (updates - self._updates) / max(steps, 1)
        self.start(step, updates)
        return {'fps': steps * self._repeat / max(seconds, 1e-9), 'train_ratio': ratio}


class Logger:
    """Writes metrics to the outputs in a background thread, in order.

    Leaving the context, also by an exception, writes everything queued. An output's
    error (a full disk) is raised by the next call. A logger is an output itself: within another one
    it gives slow outputs a thread of their own.

    Args:
        outputs: where metrics go; None queues them until `open`.
    """

    def __init__(self, outputs: Sequence[Output] | None = None) -> None:
        self._outputs: list[Output] = []
        self._queue: queue.Queue[Any] = queue.Queue()
        self._error: BaseException | None = None
        self._closed = False
        self._thread = threading.Thread(target=self._run, name='logger', daemon=True)
        if outputs is not None:
            self.open(outputs)

    def open(self, outputs: Sequence[Output]) -> None:
        """Writes to these outputs from now on, starting with what is queued."""
        self._outputs = list(outputs)
        self._thread.start()

    def write(self, step: int, scalars: Mapping[str, Any], videos: Mapping[str, Any] = {}) -> None:
        """Queues scalars and videos (uint8 `[T, H, W, C]`) of a step, in frames."""
        self._check()
        self._queue.put((step, dict(scalars), dict(videos)))

    def flush(self) -> None:
        """Waits until everything queued is written."""
        if not self._closed:
            done = threading.Event()
            self._queue.put(done)
            done.wait()
        self._check()

    def close(self) -> None:
        """Writes what is queued and closes the outputs; calling it again does nothing.

        What was queued for no outputs is dropped.
        """
        if self._closed:
            return
        self._closed = True
        if self._thread.ident is not None:
            self._queue.put(None)
            self._thread.join()
            self._check()

    def __enter__(self) -> Logger:
        return self

    def __exit__(self, *unused: object) -> None:
        self.close()

    def _check(self) -> None:
        error, self._error = self._error, None
        if error is not None:
            raise error

    def _run(self) -> None:
        while (item := self._queue.get()) is not None:
            if isinstance(item, threading.Event):
                item.set()
            else:
                self._each('write', *item)
        self._each('close')

    def _each(self, method: str, *arguments: Any) -> None:
        for output in self._outputs:
            try:
                getattr(output, method)(*arguments)
            except Exception as error:  # Raised again in the main thread.
                self._error = self._error or error
