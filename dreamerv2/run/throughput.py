"""How fast a run goes, between two times that metrics are logged."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator


class Throughput:
    """Measures frames per second and updates per agent step.

    Args:
        repeat: frames of an agent step.
        clock: gives seconds.
    """

    def __init__(self, repeat: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._repeat = repeat
        self._clock = clock
        self.start(0, 0)

    def start(self, step: int, updates: int) -> None:
        """Starts counting at these counts of agent steps and updates."""
        self._begun, self._step, self._updates = self._clock(), step, updates

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Leaves out the time spent inside, such as an evaluation's."""
        before = self._clock()
        try:
            yield
        finally:
            self._begun += self._clock() - before

    def take(self, step: int, updates: int) -> dict[str, float]:
        """`fps` and `train_ratio` since the last call, and starts anew."""
        steps, seconds = step - self._step, self._clock() - self._begun
        ratio = (updates - self._updates) / max(steps, 1)
        self.start(step, updates)
        return {'fps': steps * self._repeat / max(seconds, 1e-9), 'train_ratio': ratio}
