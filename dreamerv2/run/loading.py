"""Which of a checkpoint's arrays an agent takes: by name, checked by the agent itself."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

PARAMETERS = 'parameters/'
# The state of float16's loss scaling: there only in that precision, and of no use in another. The
# counts of skipped updates are not in older checkpoints.
_NOT_ALWAYS = re.compile(r'\w+_opt/(scale|clean|skipped)|skipped/\w+')

Arrays = Mapping[str, np.ndarray]


def whole_state(saved: Arrays, own: Arrays) -> dict[str, np.ndarray]:
    """A saved state for an agent that goes on, also in another precision than it was saved in.

    Args:
        saved: the checkpoint's arrays.
        own: the agent's present ones.

    Returns:
        The saved arrays, with the loss scaling's as the agent has it.
    """

    def optional(name: str) -> bool:
        return _NOT_ALWAYS.fullmatch(name) is not None

    taken = {name: value for name, value in saved.items() if not optional(name) or name in own}
    fresh = {name: value for name, value in own.items() if optional(name) and name not in saved}
    return {**taken, **fresh}


def parameters_only(saved: Arrays, own: Arrays) -> dict[str, np.ndarray]:
    """The agent's present state with all parameters replaced by the saved ones."""
    kept = {name: value for name, value in own.items() if not name.startswith(PARAMETERS)}
    taken = {name: value for name, value in saved.items() if name.startswith(PARAMETERS)}
    return {**kept, **taken}
