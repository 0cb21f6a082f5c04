"""Uniformly random actions in plain NumPy, needed before TensorFlow is imported."""

from __future__ import annotations

from typing import Any

import numpy as np

from dreamerv2.run.types import PolicyState


def action_size(act_space: Any) -> int:
    """Length of an action vector: the number of choices, or of the box's coordinates."""
    return int(act_space.n) if hasattr(act_space, 'n') else int(np.prod(act_space.shape))


class RandomPolicy:
    """Draws one-hot actions for a discrete space, and from [-1, 1] for a box."""

    def __init__(self, act_space: Any, generator: np.random.Generator) -> None:
        self._discrete = hasattr(act_space, 'n')
        self._size = action_size(act_space)
        self._one_hot = np.eye(self._size, dtype=np.float32)
        self._generator = generator

    def __call__(
        self, obs: dict[str, np.ndarray], state: PolicyState = None
    ) -> tuple[np.ndarray, PolicyState]:
        """Actions `[N, A]` for the stacked observations `[N, ...]`; the state is passed through."""
        count = len(obs['is_first'])
        if self._discrete:
            # One at a time gives the same numbers, faster where there are few.
            chosen = [self._generator.integers(self._size) for _ in range(count)]
            action = self._one_hot[chosen]
        else:
            action = self._generator.uniform(-1, 1, (count, self._size)).astype(np.float32)
        return action, state

    def get_state(self) -> dict[str, Any]:
        """The generator's state, ready for JSON."""
        return dict(self._generator.bit_generator.state)

    def set_state(self, state: dict[str, Any]) -> None:
        """Takes what `get_state` gave."""
        self._generator.bit_generator.state = state
