"""The training loop: acts, learns, and yields what happened and what is due.

It knows nothing of logging, saving or evaluation: its caller does these between two events. All
counts are agent steps (transitions).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator
from typing import Any

from dreamerv2.run.driver import Driver
from dreamerv2.run.metrics.episode_summary import EpisodeSummary
from dreamerv2.run.types import Policy
from dreamerv2.run.updater import Updater


@dataclasses.dataclass(frozen=True)
class Stepped:
    """The driver made this many transitions."""

    transitions: int


@dataclasses.dataclass(frozen=True)
class EpisodeEnded:
    """An episode ended; `prefill` when it was played at random."""

    episode: EpisodeSummary
    prefill: bool


@dataclasses.dataclass(frozen=True)
class PrefillEnded:
    """All random steps have been made."""


@dataclasses.dataclass(frozen=True)
class Updated:
    """The agent made one update."""

    metrics: dict[str, Any]


@dataclasses.dataclass(frozen=True)
class LogDue:
    """The gathered metrics are to be written."""


@dataclasses.dataclass(frozen=True)
class EvaluationDue:
    """The agent is to be evaluated."""


@dataclasses.dataclass(frozen=True)
class SaveDue:
    """A checkpoint is to be written."""


Event = Stepped | EpisodeEnded | PrefillEnded | Updated | LogDue | EvaluationDue | SaveDue


@dataclasses.dataclass(frozen=True)
class Plan:
    """Budget and periods in agent steps, but `train_steps` and `pretrain` in updates."""

    steps: int
    prefill: int = 0
    pretrain: int = 0
    train_every: int = 1
    train_steps: int = 1
    log_every: int = 0
    eval_every: int = 0
    save_every: int = 0


class Every:
    """Counts the periods that end up to a step.

    With `at_start`, the first call counts one period, as in DreamerV2: the first
    training step after the prefill updates, logs and evaluates at once.

    Args:
        period: agent steps between two occurrences; 0 means never.
        at_start: whether the first call counts as an occurrence.
    """

    def __init__(self, period: float, at_start: bool = True) -> None:
        self.period = int(period)
        self.at_start = at_start
        self.last: int | None = None

    def pending(self, step: int) -> int:
        """Number of periods that ended since the last advance, up to `step`."""
        if not self.period:
            return 0
        if self.last is None:
            return int(self.at_start)
        return max(0, step - self.last) // self.period

    def advance(self, step: int) -> int:
        """Like `pending`, and counts from the end of the last of those periods afterwards."""
        count = self.pending(step)
        if self.last is None:
            self.last = step
        elif self.period:
            self.last += count * self.period
        return count

    def get_state(self) -> int | None:
        """The step counted from, or None before the first call."""
        return self.last

    def set_state(self, state: int | None) -> None:
        """Takes what `get_state` gave."""
        self.last = None if state is None else int(state)


class Progress:
    """The loop's counters and schedules, as they are saved in a checkpoint.

    Attributes:
        step: agent steps so far, prefill included.
        updates: updates so far.
        episodes: finished episodes so far.
        prefilled: whether the random steps are done.
    """

    def __init__(self, plan: Plan, step: int = 0) -> None:
        self.step = step
        self.updates = 0
        self.episodes = 0
        self.prefilled = False
        self.train = Every(plan.train_every)
        self.log = Every(plan.log_every)
        self.evaluation = Every(plan.eval_every)
        self.save = Every(plan.save_every, at_start=False)

    def get_state(self) -> dict[str, Any]:
        """Counters and schedules, ready for JSON."""
        return {
            'step': self.step,
            'updates': self.updates,
            'episodes': self.episodes,
            'prefilled': self.prefilled,
            'train': self.train.get_state(),
            'log': self.log.get_state(),
            'evaluation': self.evaluation.get_state(),
            'save': self.save.get_state(),
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Takes what `get_state` gave."""
        self.step = int(state['step'])
        self.updates = int(state['updates'])
        self.episodes = int(state['episodes'])
        self.prefilled = bool(state['prefilled'])
        for name in ('train', 'log', 'evaluation', 'save'):
            getattr(self, name).set_state(state[name])


def prefill(
    driver: Driver,
    policy: Policy,
    progress: Progress,
    *,
    steps: int,
    ready: Callable[[], bool],
    ended: Callable[[], bool] = lambda: True,
    most: float = math.inf,
    should_stop: Callable[[], bool] = lambda: False,
) -> Iterator[Event]:
    """Plays `steps` transitions, and more until `ready` (there is something to learn from).

    At most until the run has made `most` steps. Afterwards, if any episode has `ended`, the driver
    is reset: unfinished episodes are dropped, so that none is half random, half played by the
    agent. Ends early, without `PrefillEnded`, on `should_stop`.
    """
    made = 0
    while made < steps or not ready():
        if should_stop():
            return
        if made >= steps and progress.step >= most:
            break
        result = driver.step(policy)
        made += result.transitions
        progress.step += result.transitions
        yield from _ended(result.episodes, progress, prefill=True)
        yield Stepped(result.transitions)
    if ended():
        driver.reset()
    progress.prefilled = True
    yield PrefillEnded()


def interact(
    driver: Driver,
    policy: Policy,
    updater: Updater,
    progress: Progress,
    plan: Plan,
    *,
    should_stop: Callable[[], bool] = lambda: False,
) -> Iterator[Event]:
    """Acts and learns until `plan.steps`, or until `should_stop` after a complete step.

    As in DreamerV2: `pretrain` updates first; then, while steps are left, an evaluation every
    `eval_every` steps (the first before anything is learned) and `train_steps` updates every
    `train_every` steps, the first at the first step. A save is due after every evaluation but
    the first, every `save_every`, and at the end. An evaluation that is stopped midway counts as
    not made.
    """
    for _ in range(progress.updates, plan.pretrain):
        if should_stop():
            break
        yield from _updated(updater.update(1, progress.step), progress)
    yield from _updated(updater.drain(), progress)
    if progress.save.last is None:
        progress.save.advance(progress.step)
    while progress.step < plan.steps and not should_stop():
        if progress.evaluation.pending(progress.step):
            yield from _updated(updater.drain(), progress)
            yield EvaluationDue()
            if should_stop():
                break
            first = progress.evaluation.last is None
            progress.evaluation.advance(progress.step)
            if not first:
                progress.save.advance(progress.step)
                yield SaveDue()
        elif progress.save.pending(progress.step):
            progress.save.advance(progress.step)
            yield from _updated(updater.drain(), progress)
            yield SaveDue()
        result = driver.step(policy)
        progress.step += result.transitions
        # With many environments several updates may be due after one step.
        owed = progress.train.advance(progress.step) * plan.train_steps
        yield from _updated(updater.update(owed, progress.step), progress)
        yield from _ended(result.episodes, progress, prefill=False)
        yield Stepped(result.transitions)
        if progress.log.advance(progress.step):
            yield from _updated(updater.drain(), progress)
            yield LogDue()
    yield from _updated(updater.drain(), progress)
    yield SaveDue()


def _updated(ended: list[dict[str, Any]], progress: Progress) -> Iterator[Event]:
    for metrics in ended:
        progress.updates += 1
        yield Updated(metrics)


def _ended(
    episodes: tuple[EpisodeSummary, ...], progress: Progress, prefill: bool
) -> Iterator[Event]:
    for episode in episodes:
        progress.episodes += 1
        yield EpisodeEnded(episode, prefill)
