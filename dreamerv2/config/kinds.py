"""Kinds of values that a key can hold: what is expected, and how values are converted.

`convert` of a Kind takes a value from a YAML file or a flag (text, number, boolean, list) and
returns it as the program uses it, or raises ValueError or TypeError. Lists become tuples.
"""

from __future__ import annotations

import dataclasses
import math
import re
import unicodedata
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dreamerv2 import plugins

LARGEST = 10**15  # still exact as a float, so that 1e6 and 1000000 are the same count
UNWRITABLE = ('Cc', 'Cs', 'Zl', 'Zp')  # control characters, lone surrogates, line separators
# Of schedules written as text, such as `linear(1,0.1,1e6)`: DreamerV2's; durations are agent steps.
FORMS = {
    'linear': ('initial', 'final', 'duration'),
    'warmup': ('duration', 'value'),
    'exp': ('initial', 'final', 'halflife'),
    'horizon': ('initial', 'final', 'duration'),
}
EXAMPLES = ', '.join(f'{form}({",".join(names)})' for form, names in FORMS.items())


@dataclasses.dataclass(frozen=True)
class Kind:
    """A kind of value: `expected` completes the sentence 'expected ...'."""

    expected: str
    convert: Callable[[Any], Any]


def whole(low: int = 0, high: int = LARGEST) -> Kind:
    """A whole number; 1e6 is one, 1.5 is not."""

    def convert(value: Any) -> int:
        if isinstance(value, str):
            try:
                value = int(value)
            except ValueError:
                value = float(value)
        if isinstance(value, bool):
            raise ValueError('not a number')
        if not low <= value <= high or value != int(value):
            raise ValueError('out of range')
        return int(value)

    return Kind(f'a whole number{_interval(low, high)}', convert)


def number(low: float = -math.inf, high: float = math.inf, above: bool = False) -> Kind:
    """A finite number from `low` to `high`; with `above`, `low` itself is excluded."""

    def convert(value: Any) -> float:
        if isinstance(value, bool):
            raise ValueError('not a number')
        value = float(value)
        if not math.isfinite(value) or not low <= value <= high or (above and value == low):
            raise ValueError('out of range')
        return value

    return Kind(f'a number{_interval(low, high, above)}', convert)


def _boolean(value: Any) -> bool:
    names = {'true': True, 'false': False}
    if not isinstance(value, (bool, str)) or str(value).lower() not in names:
        raise ValueError('not a boolean')
    return names[str(value).lower()]


BOOLEAN = Kind('True or False', _boolean)


def _classes(value: Any) -> int:
    return whole(0, 4096).convert(0 if value in (False, 'False', 'false') else value)


CLASSES = Kind('a number of classes up to 4096, or 0 for Gaussian variables', _classes)
"""Classes of a categorical variable; 0 or False stands for a Gaussian instead."""


def choice(*names: str, aliases: Mapping[str, str] | None = None, note: str = '') -> Kind:
    """One of the names; `aliases` maps other spellings to a name."""
    spellings = {name: name for name in names} | dict(aliases or {})

    def convert(value: Any) -> str:
        if isinstance(value, bool) or str(value) not in spellings:
            raise ValueError('not a choice')
        return spellings[str(value)]

    listed = ' or '.join(filter(None, [', '.join([*spellings][:-1]), [*spellings][-1]]))
    return Kind(listed + note, convert)


def extended(kind: Kind, group: str) -> Kind:
    """A kind that also takes the names that installed packages add, see `dreamerv2.plugins`."""

    def convert(value: Any) -> Any:
        try:
            return kind.convert(value)
        except ValueError:
            if isinstance(value, str) and value in plugins.names(group):
                return value
            raise

    return Kind(kind.expected, convert)


def text(expected: str = 'text', empty: bool = False, most: int = 1000) -> Kind:
    """Text without control characters, not empty unless `empty`, of at most `most` characters."""

    def convert(value: Any) -> str:
        if not isinstance(value, str) or not (value or empty) or len(value) > most:
            raise ValueError('not text')
        if any(unicodedata.category(character) in UNWRITABLE for character in value):
            raise ValueError('control character')
        return value

    return Kind(f'{expected} (one line, at most {most} characters)', convert)


def compiled(expression: str) -> re.Pattern[str]:
    """A compiled regular expression; raises ValueError with what is wrong in it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('error')  # which would be printed otherwise
            return re.compile(expression)
    except (re.error, RecursionError, OverflowError, Warning) as error:
        raise ValueError(str(error)) from error


def _pattern(value: Any) -> str:
    return compiled(text(empty=True).convert(value)).pattern


PATTERN = Kind('a regular expression of at most 1000 characters', _pattern)
"""A regular expression; empty where that means 'not given'."""


def parse_schedule(value: float | str) -> Schedule:
    """A number or the text of a schedule -> Schedule.

    Raises ValueError when the text is not a schedule, an argument is not a finite number, or a
    duration or half-life is not positive.
    """
    if isinstance(value, bool):
        raise ValueError('a boolean is not a schedule')
    match = isinstance(value, str) and re.fullmatch(r'\s*(\w+)\s*\(([^()]*)\)\s*', value)
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
        ends = [0.0, self.arguments[1]] if self.form == 'warmup' else list(self.arguments[:2])
        if self.form == 'horizon':
            ends = [1 - 1 / end for end in ends]
        return min(ends), max(ends)


def schedule(low: float = -math.inf, high: float = math.inf) -> Kind:
    """A number, or the text of a schedule whose values stay between `low` and `high`."""

    def convert(value: Any) -> float | str:
        parsed = parse_schedule(value)
        if not low <= parsed.bounds[0] <= parsed.bounds[1] <= high:
            raise ValueError('out of range')
        return parsed.arguments[0] if parsed.form == 'constant' else str(value).strip()

    return Kind(f'a number{_interval(low, high)} or one of {EXAMPLES}', convert)


def several(kind: Kind, least: int = 0, most: int = 1000, noun: str = 'values') -> Kind:
    """A list of `least` to `most` values of one kind; a single value is a list of one."""

    def convert(value: Any) -> tuple[Any, ...]:
        if isinstance(value, str):
            value = [item.strip() for item in value.split(',')] if value else []
        items = value if isinstance(value, (list, tuple)) else [value]
        if not least <= len(items) <= most:
            raise ValueError('wrong number of values')
        return tuple(kind.convert(item) for item in items)

    size = f'{least}' if least == most else f'{least} or more' if least else 'any number of'
    return Kind(f'{size} {noun}, each {kind.expected}', convert)


def button_sets(names: Sequence[str], buttons: Sequence[str]) -> Kind:
    """A named set of actions, or a list of combinations of buttons such as `right+A`.

    Buttons are sorted as in `buttons`, so that each combination has one spelling.
    """

    def combination(value: Any) -> str:
        pressed = value.split('+') if isinstance(value, str) else []
        if value == 'NOOP':
            return value
        if not pressed or len({*pressed}) < len(pressed) or not {*pressed} <= {*buttons}:
            raise ValueError('not buttons')
        return '+'.join(sorted(pressed, key=buttons.index))

    def convert(value: Any) -> str | tuple[str, ...]:
        if isinstance(value, str):
            value = [item.strip() for item in value.split(',')]
        if not isinstance(value, (list, tuple)):
            raise ValueError('not a list')
        if len(value) == 1 and value[0] in names:
            return str(value[0])
        found = tuple(map(combination, value))
        if not 2 <= len({*found}) == len(found):
            raise ValueError('fewer than two, or one twice')
        return found

    return Kind(
        f'{", ".join(names)}, or two or more different combinations of {", ".join(buttons)} joined '
        'by +, or NOOP',
        convert,
    )


def _interval(low: float, high: float, above: bool = False) -> str:
    least, most = (str(x) if isinstance(x, int) else f'{x:g}' for x in (low, high))
    if math.isinf(low) and math.isinf(high):
        return ''
    if math.isinf(high) or high == LARGEST:
        return f' above {least}' if above else f' of at least {least}'
    return f' above {least} and up to {most}' if above else f' from {least} to {most}'
