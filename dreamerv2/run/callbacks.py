"""What a user's program may do during a training run: look, add metrics, stop it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from dreamerv2.run.metrics.episode_summary import EpisodeSummary
from dreamerv2.run.types import Row


class Run(Protocol):
    """A training run, as callbacks see it.

    Attributes:
        agent: the `dreamerv2.agent.Agent`; None during the prefill.
        updates: updates so far.
        prefilled: whether the random steps are done.
    """

    agent: Any
    updates: int
    prefilled: bool

    @property
    def frames(self) -> int:
        """The logged step."""

    def add(self, metrics: Mapping[str, float]) -> None:
        """Adds values; the mean of each until the next log is written with it."""

    def stop(self, reason: str = 'a callback') -> None:
        """Saves and ends the run after this step; the same program resumes it."""


class Callback:
    """Called by a run; a subclass overrides what it needs.

    Attributes:
        run: the run, set before the first call.
    """

    run: Run

    def on_step(self, row: Row, worker: int) -> None:
        """After every row of an environment, those of the prefill and of resets included.

        When a run is resumed in the middle of an episode, the rows of that episode come again.

        Args:
            row: the observation, with the `action` that led to it; not to be changed.
            worker: the environment's index.
        """

    def on_episode(self, episode: EpisodeSummary) -> None:
        """After every episode, those of the prefill included."""

    def on_update(self, metrics: Mapping[str, Any]) -> None:
        """After every update, with its metrics: scalar tensors, and pairs `[sum, rows]`."""

    def on_log(self, metrics: dict[str, float]) -> None:
        """Before the metrics of learning or of an evaluation are written.

        What is added to them is written, too.
        """
