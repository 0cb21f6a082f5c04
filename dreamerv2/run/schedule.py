"""When something recurs: every so many agent steps."""

from __future__ import annotations


class Every:
    """Counts the periods that end up to a step.

    With `at_start`, the first question is answered with one period, as in DreamerV2: the first
    training step after the prefill updates, logs and evaluates at once.

    Args:
        period: agent steps between two occurrences; 0 means never.
        at_start: whether the first question counts as an occurrence.
    """

    def __init__(self, period: float, at_start: bool = True) -> None:
        self.period = int(period)
        self.at_start = at_start
        self.last: int | None = None

    def pending(self, step: int) -> int:
        """How many periods ended since the last advance, up to `step`."""
        if not self.period:
            return 0
        if self.last is None:
            return int(self.at_start)
        return max(0, step - self.last) // self.period

    def advance(self, step: int) -> int:
        """Like `pending`, and starts counting anew from the last of those periods."""
        count = self.pending(step)
        if self.last is None:
            self.last = step
        elif self.period:
            self.last += count * self.period
        return count

    def get_state(self) -> int | None:
        """The step counted from, or None before the first question."""
        return self.last

    def set_state(self, state: int | None) -> None:
        """Takes what `get_state` gave."""
        self.last = None if state is None else int(state)
