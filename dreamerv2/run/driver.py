"""Steps environments with a policy, such as the random one, and passes on every row."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from dreamerv2.envs.workers import Workers
from dreamerv2.run.metrics.episode_summary import EpisodeSummary, summarize
from dreamerv2.run.types import Batch, Policy, PolicyState, Row

StepCallback = Callable[[Row, int], Any]


@dataclasses.dataclass(frozen=True)
class StepResult:
    """One step of a group of environments: its transitions, and the episodes that ended."""

    transitions: int
    episodes: tuple[EpisodeSummary, ...]


def action_size(act_space: Any) -> int:
    """Length of an action vector: the number of choices, or of the box's coordinates."""
    return int(act_space.n) if hasattr(act_space, 'n') else int(np.prod(act_space.shape))


def environment_action(act_space: Any, vector: np.ndarray) -> Any:
    """The action an environment takes: an int for a one-hot vector, else a float array."""
    if hasattr(act_space, 'n'):
        return int(vector.argmax())
    return np.asarray(vector, np.float32).reshape(act_space.shape)


def stack(rows: Sequence[Row]) -> Batch:
    """Stacked rows `[N, ...]`, without what the agent must not see (`level`, `log_*`)."""
    # `np.stack` takes four times as long.
    return {key: np.array([row[key] for row in rows]) for key in _seen(tuple(rows[0]))}


@functools.cache
def _seen(keys: tuple[str, ...]) -> list[str]:
    return [key for key in keys if key not in ('level', 'action') and not key.startswith('log_')]


class RandomPolicy:
    """Draws one-hot actions for a discrete space, and from [-1, 1] for a box."""

    def __init__(self, act_space: Any, generator: np.random.Generator) -> None:
        self._discrete = hasattr(act_space, 'n')
        self._size = action_size(act_space)
        self._one_hot = np.eye(self._size, dtype=np.float32)
        self._generator = generator

    def __call__(self, obs: Batch, state: PolicyState = None) -> tuple[np.ndarray, PolicyState]:
        """Actions `[N, A]` for the stacked observations `[N, ...]`; the state is passed through."""
        count = len(obs['is_first'])
        if self._discrete:
            # One at a time gives the same numbers, faster where there are few.
            chosen = [self._generator.integers(self._size) for _ in range(count)]
            return self._one_hot[chosen], state
        return self._generator.uniform(-1, 1, (count, self._size)).astype(np.float32), state

    def get_state(self) -> dict[str, Any]:
        """The generator's state, ready for JSON."""
        return dict(self._generator.bit_generator.state)

    def set_state(self, state: dict[str, Any]) -> None:
        """Takes what `get_state` gave."""
        self._generator.bit_generator.state = state


class Driver:
    """Plays episodes in N environments at once.

    Every row (the observation and the `action` vector that led to it, zeros at an episode's first
    row) goes to each of `on_step` as `(row, worker)`. Environments are reset only when a step needs
    it, so that nothing is drawn from their generators ahead of time.

    With several `turns` the environments form that many groups: while the rows of one are stored,
    learned from and acted on, the others are stepping. The order is fixed whichever is ready first,
    so that runs are reproducible; an action is always computed from the newest observation and the
    current weights.

    Args:
        envs: the environments; a multiple of `turns`.
        turns: number of groups; with one, all environments step together.
        on_step: called with every row and its environment's index.
        on_reset: called when unfinished episodes are forgotten; whoever collects rows must drop
        them too, or the next episode would be appended to them.
        video_keys: image keys whose frames are kept in the episodes' summaries.

    Attributes:
        groups: of each group the environments' indices.
        policy_states: of each group what the policy returned last; None at the start.
    """

    def __init__(
        self,
        envs: Workers,
        *,
        turns: int = 1,
        on_step: Sequence[StepCallback] = (),
        on_reset: Sequence[Callable[[], Any]] = (),
        video_keys: Sequence[str] = (),
    ) -> None:
        self.envs = envs
        self._on_step, self._on_reset = tuple(on_step), tuple(on_reset)
        self._video_keys = tuple(video_keys)
        # Only what the summary needs is kept: the frames of a long episode would fill the memory.
        shapes = {key: space.shape for key, space in envs.obs_space.items()}
        self._kept = [key for key, shape in shapes.items() if not shape or key in video_keys]
        self._no_action = np.zeros(action_size(envs.act_space), np.float32)
        self._latest: list[Row] = [{} for _ in range(len(envs))]
        self._episodes: list[list[Row]] = [[] for _ in range(len(envs))]
        size, rest = divmod(len(envs), turns)
        if rest:
            raise ValueError(f'{len(envs)} environments cannot form {turns} groups of equal size')
        self.groups = [range(start, start + size) for start in range(0, len(envs), size)]
        self._next = 0  # The group whose rows are passed on next.
        self._pending: dict[int, np.ndarray] = {}  # Actions of the steps in progress.
        self._arrived: dict[int, Row] = {}  # Rows of finished steps, not passed on yet.
        self.policy_states: list[PolicyState] = [None] * turns

    def reset(self) -> None:
        """Drops unfinished episodes and the policy's states; the next step starts new ones."""
        self.arrived()
        self._arrived = {}
        self._next = 0
        self._episodes = [[] for _ in range(len(self.envs))]
        self.policy_states = [None] * len(self.groups)
        for callback in self._on_reset:
            callback()

    def step(self, policy: Policy) -> StepResult:
        """One transition in every environment of a group, the groups taking turns.

        Environments whose episode ended are reset before they act.
        """
        for number, group in enumerate(self.groups):
            if not any(index in self._pending or index in self._arrived for index in group):
                self._begin(number, policy)
        group = self.groups[self._next]
        self._next = (self._next + 1) % len(self.groups)
        self._wait(group)
        # An environment that could not be restored has none.
        rows = {index: self._arrived.pop(index) for index in group if index in self._arrived}
        ended = []
        for index, row in rows.items():
            self._record(index, row)
            if row['is_last']:
                ended.append(self._finish(index))
        return StepResult(len(rows), tuple(ended))

    def cut_off(self) -> tuple[EpisodeSummary, ...]:
        """Ends the unfinished episodes, as by a time limit; the environments start new ones."""
        unfinished = [index for index, rows in enumerate(self._episodes) if len(rows) > 1]
        return tuple(self._finish(index) for index in unfinished)

    def arrived(self) -> dict[int, Row]:
        """Waits for the steps in progress; returns the rows not passed on yet, by environment."""
        self._wait(range(len(self.envs)))
        return dict(self._arrived)

    def get_state(self) -> dict[str, Any]:
        """The environments' state, ready for JSON; without rows, see `arrived`."""
        self.arrived()
        return {'envs': self.envs.get_state(), 'next': self._next}

    def set_state(
        self, state: dict[str, Any], unfinished: dict[int, Batch], arrived: Mapping[int, Row] = {}
    ) -> dict[int, int]:
        """Continues from what `get_state` returned.

        The rows of the unfinished episodes are passed on again. An episode that its environment
        cannot continue is cut off as by a time limit: its last row (the arrived one, if any) gets
        `is_last`.

        Args:
            state: from `get_state`.
            unfinished: their rows, arrays `[rows, ...]` by environment index.
            arrived: from `arrived`.

        Returns:
            By environment the transitions of an episode cut off, the arrived one included.
        """
        self.reset()
        self._next = state.get('next', 0) % len(self.groups)
        goes_on = self.envs.set_state(state['envs'])
        cut_off = {}
        for index, arrays in unfinished.items():
            count = len(arrays['is_first'])
            rows = [{key: value[i] for key, value in arrays.items()} for i in range(count)]
            coming = arrived.get(index)
            over = coming is not None and coming['is_last']
            if index < len(goes_on) and (goes_on[index] or over):
                for row in rows:
                    self._record(index, row)
                if coming is not None:
                    self._arrived[index] = coming
                continue
            rows += [] if coming is None else [coming]
            if len(rows) > 1:
                cut_off[index] = len(rows) - 1
                for row in [*rows[:-1], {**rows[-1], 'is_last': np.bool_(True)}]:
                    self._hand_on(index, row)
        return cut_off

    def _begin(self, number: int, policy: Policy) -> None:
        """Has a group's environments act."""
        group = self.groups[number]
        fresh = [index for index in group if not self._episodes[index]]
        if fresh:
            for index, obs in zip(fresh, self.envs.reset(fresh), strict=True):
                self._record(index, {**obs, 'action': self._no_action.copy()})
        stacked = stack([self._latest[index] for index in group])
        actions, self.policy_states[number] = policy(stacked, self.policy_states[number])
        vectors = dict(zip(group, np.asarray(actions, np.float32), strict=True))
        act_space = self.envs.act_space
        self.envs.begin({i: environment_action(act_space, vector) for i, vector in vectors.items()})
        self._pending.update(vectors)

    def _wait(self, indices: Iterable[int]) -> None:
        pending = [index for index in indices if index in self._pending]
        for index, obs in zip(pending, self.envs.end(pending), strict=True):
            self._arrived[index] = {**obs, 'action': self._pending.pop(index)}

    def _record(self, index: int, row: Row) -> None:
        self._latest[index] = row
        self._episodes[index].append({key: row[key] for key in self._kept})
        self._hand_on(index, row)

    def _hand_on(self, index: int, row: Row) -> None:
        for callback in self._on_step:
            callback(row, index)

    def _finish(self, index: int) -> EpisodeSummary:
        rows, self._episodes[index] = self._episodes[index], []
        return summarize(rows, self.envs.levels, worker=index, video_keys=self._video_keys)
