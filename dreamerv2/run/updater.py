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
from typing import Any

import numpy as np

from dreamerv2 import npz
from dreamerv2.errors import UsageError
from dreamerv2.replay import Replay
from dreamerv2.run.types import Agent, Batch

Metrics = dict[str, Any]


class InTurn:
    """Makes updates in the caller's thread, carrying the latent state from batch to batch.

    `take` gives the next batch.
    """

    def __init__(self, agent: Agent, take: Callable[[], Batch]) -> None:
        self.agent = agent
        self.take = take
        self.state: Any = None

    @property
    def staleness(self) -> int:
        """Number of updates that the acting weights lag behind."""
        return 0

    def update(self, number: int, step: int) -> list[Metrics]:
        """Starts `number` updates at agent step `step`; returns the metrics of those that ended."""
        ended = []
        for _ in range(number):
            self.state, metrics = self.agent.train(self.take(), self.state, step)
            ended.append(metrics)
        return ended

    def drain(self) -> list[Metrics]:
        """Waits for what was started; returns its metrics. Then the newest weights act."""
        return []

    def close(self) -> None:
        """Waits for what was started and ends."""


class Beside(InTurn):
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
        super().__init__(agent, take)
        self._pool = ThreadPoolExecutor(1, thread_name_prefix='learner')
        self._running: Future[list[Metrics]] | None = None
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
        batches = [self.take() for _ in range(number)]
        last, self._running = self._running, self._pool.submit(self._train, batches, step)
        ended = self._end(last)
        self._number = number
        return ended

    def drain(self) -> list[Metrics]:
        ended = self.wait()
        if self._pending:
            last = self.agent.finish()
            ended += [last] if last is not None else []
            self.agent.sync_policy()
            self._pending = 0
        return ended

    def wait(self) -> list[Metrics]:
        """Waits for what is being computed; returns the metrics of the updates that ended."""
        running, self._running = self._running, None
        return self._end(running)

    def close(self) -> None:
        self._waited_for.release()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _end(self, running: Future[list[Metrics]] | None) -> list[Metrics]:
        if running is None:
            return []
        self._waited_for.release()
        ended = running.result()
        self._number, self._pending = 0, int(self._ahead)
        return ended

    def _train(self, batches: list[Batch], step: int) -> list[Metrics]:
        if self._failed:  # What is queued after a failure would start from a broken state.
            return []
        ended = []
        try:
            for batch in batches:
                train = self.agent.train_ahead if self._ahead else self.agent.train
                self.state, metrics = train(batch, self.state, step)
                ended += [metrics] if metrics is not None else []
        except BaseException:
            self._failed = True
            raise
        self._waited_for.acquire()
        self.agent.sync_policy()
        return ended


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

    def __init__(self, replay: Replay, batch: int, length: int, place: Callable[..., Any]) -> None:
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
        ahead = self._ahead or self._draw()
        self.last, placed = ahead.result()
        self._ahead = None
        self._ahead = self._draw()
        return placed

    def _draw(self) -> Future[tuple[Batch, Any]]:
        return self._submit(self._replay.choose(*self._size))

    def _submit(self, assemble: Callable[[], Batch]) -> Future[tuple[Batch, Any]]:
        def ready() -> tuple[Batch, Any]:
            batch = assemble()
            return batch, self._place(batch)

        return self._pool.submit(ready)

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
        self._ahead = self._submit(lambda: batch)

    def close(self) -> None:
        """Ends the thread."""
        self._pool.shutdown(wait=True, cancel_futures=True)
