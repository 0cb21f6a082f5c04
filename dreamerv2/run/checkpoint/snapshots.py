"""Collects the state of a run's parts for a checkpoint, and restores it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dreamerv2 import npz
from dreamerv2.durable import to_json
from dreamerv2.errors import UsageError
from dreamerv2.replay import Replay
from dreamerv2.run import checkpoint
from dreamerv2.run.checkpoint.store import Score
from dreamerv2.run.driver import Driver
from dreamerv2.run.evaluation import Evaluator
from dreamerv2.run.loop import Progress
from dreamerv2.run.metrics.logger import MetricMeans
from dreamerv2.run.random_policy import RandomPolicy
from dreamerv2.run.types import Agent, Row
from dreamerv2.run.updater import Batches

Arrays = dict[str, np.ndarray]


def pack_unfinished(
    rows: Mapping[int, Mapping[str, np.ndarray]],
    policy: Mapping[str, np.ndarray],
    arrived: Mapping[int, Row],
) -> bytes:
    """The unfinished episodes and the policy's state, as an `.npz` file.

    Rows that have arrived from the environments but were not passed on yet are stored separately.

    Args:
        rows: the episode so far, arrays `[rows, ...]`, by environment index.
        policy: the policy's state by name.
        arrived: the row to be passed on next, by environment.
    """
    arrays = {f'rows/{i}/{key}': value for i, own in rows.items() for key, value in own.items()}
    arrays |= {f'policy/{name}': value for name, value in policy.items()}
    for index, row in arrived.items():
        arrays |= {f'arrived/{index}/{key}': np.asarray(value) for key, value in row.items()}
    return npz.encode(arrays)


def unpack_unfinished(content: bytes) -> tuple[dict[int, Arrays], Arrays, dict[int, Row]]:
    """Inverse of `pack_unfinished`. Raises UsageError where the content is invalid."""
    rows: dict[int, Arrays] = {}
    policy: Arrays = {}
    arrived: dict[int, Row] = {}
    try:
        for name, value in npz.decode(content).items():
            kind, _, rest = name.partition('/')
            if kind == 'policy':
                policy[rest] = value
            else:
                index, _, key = rest.partition('/')
                if kind == 'arrived':
                    arrived.setdefault(int(index), {})[key] = value[()]
                else:
                    rows.setdefault(int(index), {})[key] = value
    except ValueError as error:
        raise UsageError(
            f'The unfinished episodes in the checkpoint cannot be read ({error}): use another one.'
        ) from error
    return rows, policy, arrived


class Snapshots:
    """Saves and restores a run's state.

    Args: the run's parts.

    Attributes:
        batch: what a restored run trains on next, until it is taken; None where one has to be
        drawn.
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
        score: Score | None = None,
    ) -> Callable[[], Any]:
        """Captures the state; returns a function that writes the checkpoint from any thread.

        Args:
            root: the folder `checkpoints`.
            frames: the logged step.
            agent: the agent.
            batches: where batches come from.
            files: further files of the checkpoint.
            score: of the agent's evaluation as it is now (`evaluation.score`), if there was one.
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
            content = {**files, checkpoint.UNFINISHED: pack_unfinished(rows, policy, arrived)}
            if ahead is not None:
                content[checkpoint.BATCH] = ahead
            return checkpoint.save(
                root, frames, arrays=arrays, state=document, files=content, score=score
            )

        return write

    def restore(self, saved: checkpoint.Checkpoint, say: Callable[[str], Any]) -> None:
        """Restores everything but the agent's arrays."""
        state = saved.state
        self._progress.set_state(state['progress'])
        self._replay.set_state(state['replay'])
        self._random_policy.set_state(state['random_policy'])
        self._evaluator.set_state(state['evaluator'])
        self._means.set_state(state['metrics'])
        self.batch = saved.file(checkpoint.BATCH)
        content = saved.file(checkpoint.UNFINISHED)
        rows, arrays, arrived = unpack_unfinished(content) if content else ({}, {}, {})
        for index, steps in self._driver.set_state(state['driver'], rows, arrived).items():
            self._progress.episodes += 1
            self._progress.step += index in arrived  # A row passed on only now, as its last.
            say(
                f'Environment {index} could not be restored: its unfinished episode '
                f'ends after {steps} steps, as by a time limit.'
            )
        if len(arrays.get('action', ())) == len(self._driver.envs):  # Else their number changed.
            self._policy_arrays = arrays

    def restore_policy(self, agent: Agent) -> None:
        """Lets the policy continue from the restored state, or start fresh where there is none."""
        for number, group in enumerate(self._driver.groups):
            part = {name: value[[*group]] for name, value in self._policy_arrays.items()}
            self._driver.policy_states[number] = agent.policy_state(part)
