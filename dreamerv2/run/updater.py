"""Updates of the agent: in turn with acting, or beside it in a thread.

Both make the same number of updates at the same agent steps, on batches drawn in the same order
(`batches`), so a run repeats itself in either mode. In turn, the agent acts with weights that every
owed update has already changed. Beside it, while an update is computed the agent acts with a copy
of the weights from before it: behind by the updates of one training step, never by more.
"""

from __future__ import annotations

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

    Args:
        agent: an agent that acts with a copy of its weights, renewed by `sync_policy`.
        take: gives the next batch; called in the caller's thread.
    """

    def __init__(self, agent: Agent, take: Callable[[], Batch]) -> None:
        self._trainer = _Trainer(agent, take)
        self._pool = ThreadPoolExecutor(1, thread_name_prefix='learner')
        self._running: Future[list[Metrics]] | None = None
        self._number = 0

    @property
    def staleness(self) -> int:
        return self._number if self._running else 0

    def update(self, number: int, step: int) -> list[Metrics]:
        if not number:
            return []
        batches = [self._trainer.take() for _ in range(number)]
        ended = self.drain()
        self._number = number
        self._running = self._pool.submit(
            lambda: [self._trainer.train(batch, step) for batch in batches]
        )
        return ended

    def drain(self) -> list[Metrics]:
        if self._running is None:
            return []
        running, self._running = self._running, None
        ended = running.result()
        self._trainer.agent.sync_policy()
        return ended

    def close(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)
