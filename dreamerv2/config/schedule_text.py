"""Schedules written as text, such as `linear(1,0.1,1e6)`, parsed so that mistakes are found early.

The forms are DreamerV2's; durations are in agent steps.
"""

from __future__ import annotations

import dataclasses
import math
import re

FORMS = {
    'linear': ('initial', 'final', 'duration'),
    'warmup': ('duration', 'value'),
    'exp': ('initial', 'final', 'halflife'),
    'horizon': ('initial', 'final', 'duration'),
}
EXAMPLES = 'linear(initial,final,duration), warmup(duration,value), exp(initial,final,halflife), '
EXAMPLES += 'horizon(initial,final,duration)'


def parse_schedule(value: float | str) -> Schedule:
    """A number or the text of a schedule -> Schedule.

    Raises ValueError when the text is not a schedule, an argument is not a finite number, or a
    duration or half-life is not positive.
    """
    if isinstance(value, bool):
        raise ValueError('a boolean is not a schedule')
    if isinstance(value, (int, float)):
        return Schedule('constant', (_finite(value),))
    match = re.fullmatch(r'\s*(\w+)\s*\(([^()]*)\)\s*', value)
    if not match:
        return Schedule('constant', (_finite(value),))
    form, arguments = match.group(1), [_finite(x) for x in match.group(2).split(',')]
    if form not in FORMS:
        raise ValueError(f'no schedule is called {form}')
    names = FORMS[form]
    if len(arguments) != len(names):
        raise ValueError(f'{form} takes {len(names)} numbers')
    for name, argument in zip(names, arguments, strict=True):
        if name in ('duration', 'halflife') and argument <= 0:
            raise ValueError(f'{name} of {form} is not positive')
        if form == 'horizon' and argument < 1:
            raise ValueError(f'{name} of {form} is below 1')
    return Schedule(form, tuple(arguments))


def _finite(value: float | str) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f'{value} is not finite')
    return number


@dataclasses.dataclass(frozen=True)
class Schedule:
    """A value over agent steps: `form` is 'constant' or one of FORMS, `arguments` its numbers."""

    form: str
    arguments: tuple[float, ...]

    @property
    def bounds(self) -> tuple[float, float]:
        """The smallest and largest value that the schedule takes on."""
        if self.form == 'constant':
            return self.arguments[0], self.arguments[0]
        if self.form == 'warmup':
            ends = (0.0, self.arguments[1])
        else:
            ends = self.arguments[0], self.arguments[1]
        if self.form == 'horizon':
            ends = 1 - 1 / ends[0], 1 - 1 / ends[1]
        return min(ends), max(ends)
