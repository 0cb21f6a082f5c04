"""Steps environments with a policy and hands on every row."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from dreamerv2.envs.workers import Workers
from dreamerv2.run.episodes import Episode, summarize
from dreamerv2.run.random_policy import action_size
from dreamerv2.run.types import Policy, PolicyState, Row

StepCallback = Callable[[Row, int], Any]


@dataclasses.dataclass(frozen=True)
class StepResult:
    """One step of all environments: how many transitions, and the episodes that ended."""

    transitions: int
    episodes: tuple[Episode, ...]


def environment_action(act_space: Any, vector: np.ndarray) -> Any:
    """The action an environment takes: an int for a one-hot vector, else a float array."""
    if hasattr(act_space, 'n'):
        return int(np.argmax(vector))
    return np.asarray(vector, np.float32).reshape(act_space.shape)


def stack(rows: Sequence[Row]) -> dict[str, np.ndarray]:
    """Rows as arrays `[N, ...]`, without what the agent must not see (`level`, `log_*`)."""
    return {
        key: np.stack([row[key] for row in rows])
        for key in rows[0]
        if key != 'level' and key != 'action' and not key.startswith('log_')
    }


class Driver:
    """Plays episodes in N environments at once.

    Every row (the observation and the `action` vector that led to it, zeros at an episode's first
    row) goes to each of `on_step` as `(row, worker)`. Environments are reset when a step needs
    it, not before, so that nothing is drawn from their generators ahead of time.

    Args:
        envs: the environments.
        on_step: called with every row and its environment's index.
        on_reset: called when unfinished episodes are forgotten; whoever gathers rows must forget
            them too, or the next episode would be glued to their beginnings.
        video_keys: image keys whose frames are kept in the episodes' summaries.

    Attributes:
        policy_state: what the policy returned last; None at the start.
    """

    def __init__(
        self,
        envs: Workers,
        *,
        on_step: Sequence[StepCallback] = (),
        on_reset: Sequence[Callable[[], Any]] = (),
        video_keys: Sequence[str] = (),
    ) -> None:
        self.envs = envs
        self._on_step = tuple(on_step)
        self._on_reset = tuple(on_reset)
        self._video_keys = tuple(video_keys)
        self._no_action = np.zeros(action_size(envs.act_space), np.float32)
        self._latest: list[Row] = [{} for _ in range(len(envs))]
        self._episodes: list[list[Row]] = [[] for _ in range(len(envs))]
        self.policy_state: PolicyState = None

    def reset(self) -> None:
        """Forgets unfinished episodes and the policy's state; the next step starts afresh."""
        self._episodes = [[] for _ in range(len(self.envs))]
        self.policy_state = None
        for callback in self._on_reset:
            callback()

    def step(self, policy: Policy) -> StepResult:
        """One transition in every environment, after resetting those whose episode ended."""
        fresh = [index for index, rows in enumerate(self._episodes) if not rows]
        if fresh:
            for index, obs in zip(fresh, self.envs.reset(fresh), strict=True):
                self._record(index, {**obs, 'action': self._no_action.copy()})
        stacked = stack(self._latest)
        actions, self.policy_state = policy(stacked, self.policy_state)
        actions = np.asarray(actions, np.float32)
        act_space = self.envs.act_space
        results = self.envs.step([environment_action(act_space, vector) for vector in actions])
        ended = []
        for index, (obs, action) in enumerate(zip(results, actions, strict=True)):
            row = {**obs, 'action': action}
            self._record(index, row)
            if row['is_last']:
                ended.append(self._finish(index))
        return StepResult(len(results), tuple(ended))

    def get_state(self) -> dict[str, Any]:
        """The environments' state, ready for JSON; the rows that were handed on are no part."""
        return {'envs': self.envs.get_state()}

    def set_state(
        self, state: dict[str, Any], unfinished: Mapping[int, Mapping[str, np.ndarray]]
    ) -> dict[int, int]:
        """Goes on from what `get_state` gave.

        The rows of the unfinished episodes are handed on again. An episode that its environment
        cannot go on with is cut off: its last row is made one of a time limit.

        Args:
            state: from `get_state`.
            unfinished: the rows of the episodes that were going on, arrays `[rows, ...]` for each
                environment's index.

        Returns:
            For each environment whose episode was cut off the transitions that it had.
        """
        self.reset()
        goes_on = self.envs.set_state(state['envs'])
        cut_off = {}
        for index, arrays in unfinished.items():
            count = len(arrays['is_first'])
            rows = [{key: value[i] for key, value in arrays.items()} for i in range(count)]
            if index < len(goes_on) and goes_on[index]:
                for row in rows:
                    self._record(index, row)
            elif count > 1:
                cut_off[index] = count - 1
                for row in [*rows[:-1], {**rows[-1], 'is_last': np.bool_(True)}]:
                    self._hand_on(index, row)
        return cut_off

    def _record(self, index: int, row: Row) -> None:
        self._latest[index] = row
        # Only what the summary needs is kept: the frames of a long episode would fill the memory.
        self._episodes[index].append(
            {k: v for k, v in row.items() if k in self._video_keys or np.ndim(v) == 0}
        )
        self._hand_on(index, row)

    def _hand_on(self, index: int, row: Row) -> None:
        for callback in self._on_step:
            callback(row, index)

    def _finish(self, index: int) -> Episode:
        rows, self._episodes[index] = self._episodes[index], []
        return summarize(rows, self.envs.levels, worker=index, video_keys=self._video_keys)
