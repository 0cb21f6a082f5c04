"""Repeated measurements and how they are summed up."""

from __future__ import annotations

import dataclasses
import math
import statistics
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any


@dataclasses.dataclass(frozen=True)
class Spread:
    """Median and range of a measurement that was made `count` times."""

    median: float
    low: float
    high: float
    count: int


def spread(values: Iterable[float]) -> Spread:
    """Median, lowest and highest of the values.

    Raises:
        ValueError: there are none.
    """
    values = list(values)
    if not values:
        raise ValueError('no measurement was made')
    return Spread(statistics.median(values), min(values), max(values), len(values))


def time_interleaved(
    functions: Mapping[str, Callable[[], Any]],
    repeat: int,
    *,
    warmup: int = 1,
    seconds: float = 0.2,
    limit: float = float('inf'),
) -> dict[str, list[float]]:
    """Seconds a call of each function, measured in turn.

    One round after the other, so that whatever slows the machine down for a while slows all of
    them down alike, and ratios between them stay true.

    Args:
        functions: by name, each waiting for what it has started.
        repeat: rounds.
        warmup: calls before anything is timed.
        seconds: a function is called in a round until about this time has passed, at least once.
        limit: seconds after which no further round begins; one is always made.

    Returns:
        By name, one mean time a call for each round.
    """
    calls = {}
    for name, function in functions.items():
        for _ in range(warmup):
            function()
        start = time.perf_counter()
        function()
        once = max(time.perf_counter() - start, 1e-9)
        calls[name] = max(1, math.ceil(seconds / once))
    samples: dict[str, list[float]] = {name: [] for name in functions}
    begun = time.perf_counter()
    for number in range(repeat):
        if number and time.perf_counter() - begun > limit:
            break
        for name, function in functions.items():
            start = time.perf_counter()
            for _ in range(calls[name]):
                function()
            samples[name].append((time.perf_counter() - start) / calls[name])
    return samples


class Clock:
    """Adds up the seconds spent in named parts.

    A part that is entered from several threads at once counts for each of them.

    Attributes:
        seconds: by part.
        calls: how often each was entered.
        last: when each was last left, by the system's monotonic clock.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.calls: dict[str, int] = {}
        self.last: dict[str, float] = {}

    def timed(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, with its time added to the part."""

        def call(*args: Any, **kwargs: Any) -> Any:
            start = time.monotonic()
            try:
                return function(*args, **kwargs)
            finally:
                self.last[part] = time.monotonic()
                self.seconds[part] = self.seconds.get(part, 0.0) + self.last[part] - start
                self.calls[part] = self.calls.get(part, 0) + 1

        return call


class Timed:
    """Stands in for an object, and times some of its methods.

    Args:
        target: the object; everything else is passed on to it.
        clock: where the times go.
        parts: method name to the part that its time is added to.

    Raises:
        AttributeError: the object has no such method.
    """

    def __init__(self, target: Any, clock: Clock, parts: Mapping[str, str]) -> None:
        self._target = target
        for method, part in parts.items():
            setattr(self, method, clock.timed(part, getattr(target, method)))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._target, name)

    def __len__(self) -> int:
        return len(self._target)
