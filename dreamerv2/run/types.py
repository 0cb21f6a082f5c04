"""What the training run expects of its agent, and the types of what it passes around."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np

Row = dict[str, Any]  # one observation, with `action`: the one that led to it
Batch = dict[str, np.ndarray]
PolicyState = Any
# (stacked observations [N, ...], state or None) -> (actions float32 [N, A], state)
Policy = Callable[[dict[str, np.ndarray], PolicyState], tuple[np.ndarray, PolicyState]]


class Agent(Protocol):
    """What acts and learns."""

    def policy(
        self, obs: dict[str, np.ndarray], state: PolicyState = None, mode: str = 'train'
    ) -> tuple[np.ndarray, PolicyState]: ...

    def policy_arrays(self, state: PolicyState) -> dict[str, np.ndarray]: ...

    def policy_state(self, arrays: Mapping[str, np.ndarray]) -> PolicyState: ...

    def train(
        self, batch: Batch, state: Any = None, step: int = 0
    ) -> tuple[Any, dict[str, Any]]: ...

    def train_ahead(
        self, batch: Batch, state: Any = None, step: int = 0
    ) -> tuple[Any, dict[str, Any] | None]: ...

    def finish(self) -> dict[str, Any] | None: ...

    def to_device(self, batch: Batch) -> Batch: ...

    def sync_policy(self) -> None: ...

    def warm_up(self, batch: Batch, envs: int = 1) -> Any: ...

    def report(self, batch: Batch) -> dict[str, np.ndarray]: ...

    def foresee(self, batch: Batch) -> dict[str, np.ndarray]: ...

    def get_state(self) -> dict[str, np.ndarray]: ...

    def set_state(self, state: dict[str, np.ndarray]) -> None: ...
