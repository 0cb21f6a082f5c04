"""Updates of the agent: in turn with acting, or beside it in a thread.

Both make the same number of updates at the same agent steps, on batches drawn in the same order
(`batches`), so a run repeats itself in either mode. In turn, the agent acts with weights that every
owed update has already changed. Beside it, while an update is computed the agent acts with a copy
of the weights from before it: behind by the updates of one training step, never by more. Updates
that are made ahead (see `Agent.train_ahead`) add one: by it the actor is behind, too.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Protocol

from dreamerv2.run.types import Agent, Batch

Metrics = dict[str, Any]


class Updater(Protocol):
    """How updates are made."""

    def update(self, number: int, step: int) -> list[Metrics]:
        """Starts `number` updates at agent step `step`; metrics of those that ended."""

    def drain(self) -> list[Metrics]:
        """Waits for what was started; its metrics. The agent acts with the newest weights then."""

    def close(self) -> None:
        """Waits for what was started and lets go of it."""

    @property
    def staleness(self) -> int:
        """By how many updates the acting weights are behind."""


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
    """Makes updates where they are asked for.

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
    """Makes updates in a thread while the environments go on (`async_collect`).

    The next updates are handed over while the last are still computed, so that the thread goes from
    one to the other without waiting for this one to be woken. In between it renews the acting
    weights, for which it waits until nothing acts: until the caller waits for it.

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
        self._number = 0  # Updates that are computed now.
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
        """Waits for what is being computed; metrics of the updates that ended."""
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
        if self._failed:  # What follows a failure would start from its ruins.
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
