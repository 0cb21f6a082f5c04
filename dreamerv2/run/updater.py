"""Batches, prepared ahead in a thread, and updates: in turn with acting, or beside it in a thread.

Both make the same number of updates at the same agent steps, on batches drawn in the same order, so
a run is reproducible in either mode. In turn, the agent acts with fully updated weights. In a
thread, while an update is computed the agent acts with a copy of the weights from before it: it
lags by the updates of one training step, never more. Updates that are made ahead (see
`Agent.train_ahead`) add one update to the lag of the actor.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Protocol

import numpy as np

from dreamerv2 import npz
from dreamerv2.errors import UsageError
from dreamerv2.replay import Replay
from dreamerv2.run.types import Agent, Batch

Metrics = dict[str, Any]


class Updater(Protocol):
    """Makes updates of the agent."""

    def update(self, number: int, step: int) -> list[Metrics]:
        """Starts `number` updates at agent step `step`; returns the metrics of those that ended."""

    def drain(self) -> list[Metrics]:
        """Waits for what was started; returns its metrics. Then the newest weights act."""

    def close(self) -> None:
        """Waits for what was started and ends."""

    @property
    def staleness(self) -> int:
        """Number of updates that the acting weights lag behind."""


class _Trainer:
    """Takes batches and trains on them, carrying the latent state from batch to batch."""

    def __init__(self, agent: Agent, take: Callable[[], Batch]) -> None:
        self.agent = agent
        self.take = take
        self.state: Any = None

    def train(self, batch: Batch, step: int) -> Metrics:
        self.state, metrics = self.agent.train(batch, self.state, step)
        return metrics

    def train_ahead(self, batch: Batch, step: int) -> Metrics | None:
        self.state, metrics = self.agent.train_ahead(batch, self.state, step)
        return metrics


class InTurn:
    """Makes updates in the caller's thread.

    Args:
        agent: the agent.
        take: gives the next batch.
    """

    staleness = 0

    def __init__(self, agent: Agent, take: Callable[[], Batch]) -> None:
        self._trainer = _Trainer(agent, take)

    def update(self, number: int, step: int) -> list[Metrics]:
        return [self._trainer.train(self._trainer.take(), step) for _ in range(number)]

    def drain(self) -> list[Metrics]:
        return []

    def close(self) -> None:
        pass


class Beside:
    """Makes updates in a thread while the environments step (`async_collect`).

    The next updates are queued while the last are still being computed, so that the thread need not
    wait for the caller to wake up. In between it renews the acting weights, for which it waits
    until nothing acts: until the caller waits for it.

    Args:
        agent: an agent that acts with a copy of its weights, renewed by `sync_policy`.
        take: gives the next batch; called in the caller's thread.
        ahead: complete each update together with the next (`Agent.train_ahead`).
    """

    def __init__(self, agent: Agent, take: Callable[[], Batch], ahead: bool = False) -> None:
        self._trainer = _Trainer(agent, take)
        self._pool = ThreadPoolExecutor(1, thread_name_prefix='learner')
        self._running: Future[list[Metrics | None]] | None = None
        self._waited_for = threading.Semaphore(0)  # Once for each that may renew the weights.
        self._failed = False
        self._ahead = ahead
        self._number = 0  # Updates being computed.
        self._pending = 0  # Pending updates before them.

    @property
    def staleness(self) -> int:
        return self._number + self._pending

    def update(self, number: int, step: int) -> list[Metrics]:
        if not number:
            return []
        batches = [self._trainer.take() for _ in range(number)]
        last, self._running = self._running, self._pool.submit(self._train, batches, step)
        ended = self._end(last)
        self._number = number
        return ended

    def wait(self) -> list[Metrics]:
        """Waits for what is being computed; returns the metrics of the updates that ended."""
        running, self._running = self._running, None
        return self._end(running)

    def _end(self, running: Future[list[Metrics | None]] | None) -> list[Metrics]:
        if running is None:
            return []
        self._waited_for.release()
        ended = [metrics for metrics in running.result() if metrics is not None]
        self._number, self._pending = 0, int(self._ahead)
        return ended

    def _train(self, batches: list[Batch], step: int) -> list[Metrics | None]:
        if self._failed:  # What is queued after a failure would start from a broken state.
            return []
        train = self._trainer.train_ahead if self._ahead else self._trainer.train
        try:
            ended = [train(batch, step) for batch in batches]
        except BaseException:
            self._failed = True
            raise
        self._waited_for.acquire()
        self._trainer.agent.sync_policy()
        return ended

    def drain(self) -> list[Metrics]:
        ended = self.wait()
        if self._pending:
            last = self._trainer.agent.finish()
            ended += [last] if last is not None else []
            self._trainer.agent.sync_policy()
            self._pending = 0
        return ended

    def close(self) -> None:
        self._waited_for.release()
        self._pool.shutdown(wait=True, cancel_futures=True)


class Batches:
    """Draws batches in a fixed order, one ahead.

    The rows of a batch are drawn in the caller's thread, right after the previous batch was taken,
    so that runs are reproducible; only gathering them and copying to the device happens in a
    thread. The batch ahead is part of a checkpoint: a resumed run uses the same batch as an
    uninterrupted one.

    Args:
        replay: what is sampled from.
        batch, length: the batch's size.
        place: copies a batch to the device.
    """

    def __init__(
        self, replay: Replay, batch: int, length: int, place: Callable[[Batch], Any]
    ) -> None:
        self._replay = replay
        self._size = batch, length
        self._place = place
        self._pool = ThreadPoolExecutor(1, thread_name_prefix='batches')
        self._ahead: Future[tuple[Batch, Any]] | None = None
        self.last: Batch | None = None

    def take(self) -> Any:
        """The next batch, on the device; the first is drawn now.

        Raises:
            UsageError: the replay has nothing to sample from.
        """
        if self._ahead is None:
            self._draw()
        assert self._ahead is not None
        self.last, placed = self._ahead.result()
        self._ahead = None
        self._draw()
        return placed

    def get_state(self) -> bytes | None:
        """The batch ahead as an `.npz` file; None before the first was taken."""
        if self._ahead is None:
            return None
        file = io.BytesIO()
        np.savez(file, **self._ahead.result()[0])
        return file.getvalue()

    def set_state(self, state: bytes) -> None:
        """Takes what `get_state` gave.

        Raises:
            UsageError: it is invalid.
        """
        try:
            batch = npz.decode(state)
        except ValueError as error:
            raise UsageError(
                f'The batch ahead in the checkpoint cannot be read ({error}): use another one.'
            ) from error
        self._ahead = self._pool.submit(lambda: (batch, self._place(batch)))

    def close(self) -> None:
        """Ends the thread."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _draw(self) -> None:
        assemble = self._replay.choose(*self._size)

        def ready() -> tuple[Batch, Any]:
            batch = assemble()
            return batch, self._place(batch)

        self._ahead = self._pool.submit(ready)
