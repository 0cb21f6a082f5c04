"""The types of what a run passes around."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from dreamerv2.agent import Agent as Agent
else:
    Agent = Any  # Importing it would import TensorFlow.

Row = dict[str, Any]  # one observation, with `action`: the one that led to it
Batch = dict[str, np.ndarray]
PolicyState = Any
Say = Callable[[str], Any]  # prints a line
# (stacked observations [N, ...], state or None) -> (actions float32 [N, A], state)
Policy = Callable[[Batch, PolicyState], tuple[np.ndarray, PolicyState]]
