"""What a checkpoint of a run holds, gathered from the run's parts and given back to them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dreamerv2.replay import Replay
from dreamerv2.run import checkpoint, unfinished
from dreamerv2.run.batches import Batches
from dreamerv2.run.driver import Driver
from dreamerv2.run.evaluation import Evaluator
from dreamerv2.run.files import to_json
from dreamerv2.run.logging import MetricMeans
from dreamerv2.run.loop import Progress
from dreamerv2.run.random_policy import RandomPolicy
from dreamerv2.run.types import Agent


class Snapshots:
    """Takes a run's state and gives it back.

    Args: the run's parts.

    Attributes:
        batch: what a restored run trains on next, until it is taken; None where it has to draw.
    """

    def __init__(
        self,
        progress: Progress,
        replay: Replay,
        driver: Driver,
        random_policy: RandomPolicy,
        evaluator: Evaluator,
        means: MetricMeans,
    ) -> None:
        self._progress = progress
        self._replay = replay
        self._driver = driver
        self._random_policy = random_policy
        self._evaluator = evaluator
        self._means = means
        self.batch: bytes | None = None
        self._policy_arrays: dict[str, np.ndarray] = {}

    def take(
        self,
        root: Path,
        frames: int,
        agent: Agent,
        batches: Batches,
        files: Mapping[str, bytes],
        score: float | None = None,
    ) -> Callable[[], Any]:
        """The state as it is now; returns what writes it to a checkpoint, in any thread.

        Args:
            root: the folder `checkpoints`.
            frames: the logged step.
            agent: the agent.
            batches: where batches come from.
            files: further files of the checkpoint.
            score: mean return of the agent's evaluation as it is now, if there was one.
        """
        state = {
            'progress': self._progress.get_state(),
            'replay': self._replay.get_state(),
            'driver': self._driver.get_state(),
            'random_policy': self._random_policy.get_state(),
            'evaluator': self._evaluator.get_state(),
            'metrics': self._means.get_state(),
        }
        document = json.loads(to_json(state))
        arrays = agent.get_state()
        ahead = batches.get_state()
        rows = self._replay.unfinished()
        arrived = self._driver.arrived()
        parts = [agent.policy_arrays(state) for state in self._driver.policy_states]
        policy = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

        def write() -> Path:
            content = {**files, checkpoint.UNFINISHED: unfinished.pack(rows, policy, arrived)}
            if ahead is not None:
                content[checkpoint.BATCH] = ahead
            return checkpoint.save(
                root, frames, arrays=arrays, state=document, files=content, score=score
            )

        return write

    def restore(self, saved: checkpoint.Checkpoint, say: Callable[[str], Any]) -> None:
        """Gives everything but the agent's arrays back to the run's parts."""
        state = saved.state
        self._progress.set_state(state['progress'])
        self._replay.set_state(state['replay'])
        self._random_policy.set_state(state['random_policy'])
        self._evaluator.set_state(state['evaluator'])
        self._means.set_state(state['metrics'])
        self.batch = saved.file(checkpoint.BATCH)
        content = saved.file(checkpoint.UNFINISHED)
        rows, arrays, arrived = unfinished.unpack(content) if content else ({}, {}, {})
        for index, steps in self._driver.set_state(state['driver'], rows, arrived).items():
            self._progress.episodes += 1
            self._progress.step += index in arrived  # A row handed on only now, as its last.
            say(
                f'Environment {index} did not come back to where it was: its unfinished episode '
                f'ends after {steps} steps, as by a time limit.'
            )
        if len(arrays.get('action', ())) == len(self._driver.envs):  # Else of another number.
            self._policy_arrays = arrays

    def restore_policy(self, agent: Agent) -> None:
        """Has the policy go on from the restored state; it starts anew where there is none."""
        for number, group in enumerate(self._driver.groups):
            part = {name: value[[*group]] for name, value in self._policy_arrays.items()}
            self._driver.policy_states[number] = agent.policy_state(part)
