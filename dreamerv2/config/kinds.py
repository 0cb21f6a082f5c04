"""Kinds of values that a key can hold: what is expected, and how values are converted.

`convert` of a Kind takes a value from a YAML file or a flag (text, number, boolean, list) and
returns it as the program uses it, or raises ValueError. Lists become tuples.
"""

from __future__ import annotations

import dataclasses
import math
import re
import unicodedata
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dreamerv2.config.schedule_text import EXAMPLES, parse_schedule

LARGEST = 10**15  # still exact as a float, so that 1e6 and 1000000 are the same count
UNWRITABLE = ('Cc', 'Cs', 'Zl', 'Zp')  # control characters, lone surrogates, line separators


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
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise ValueError('not a number')
        if not math.isfinite(value) or value != int(value) or not low <= value <= high:
            raise ValueError('out of range')
        return int(value)

    return Kind(f'a whole number{_interval(low, high)}', convert)


def number(low: float = -math.inf, high: float = math.inf, above: bool = False) -> Kind:
    """A finite number from `low` to `high`; with `above`, `low` itself is excluded."""

    def convert(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float, str)):
            raise ValueError('not a number')
        value = float(value)
        if not math.isfinite(value) or not low <= value <= high or (above and value == low):
            raise ValueError('out of range')
        return value

    return Kind(f'a number{_interval(low, high, above)}', convert)


def boolean() -> Kind:
    """True or False."""

    def convert(value: Any) -> bool:
        if isinstance(value, bool):
            return value
        names = {'true': True, 'false': False}
        if not isinstance(value, str) or value.lower() not in names:
            raise ValueError('not a boolean')
        return names[value.lower()]

    return Kind('True or False', convert)


def classes() -> Kind:
    """Classes of a categorical variable; 0 or False stands for a Gaussian instead."""
    count = whole(0, 4096)

    def convert(value: Any) -> int:
        return 0 if value is False or value in ('False', 'false') else count.convert(value)

    return Kind('a number of classes up to 4096, or 0 for Gaussian variables', convert)


def choice(*names: str, aliases: Mapping[str, str] | None = None, note: str = '') -> Kind:
    """One of the names; `aliases` maps other spellings to a name."""
    spellings = {name: name for name in names} | dict(aliases or {})

    def convert(value: Any) -> str:
        if isinstance(value, bool) or str(value) not in spellings:
            raise ValueError('not a choice')
        return spellings[str(value)]

    listed = ' or '.join(filter(None, [', '.join([*spellings][:-1]), [*spellings][-1]]))
    return Kind(listed + note, convert)


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


def pattern() -> Kind:
    """A regular expression; empty where that means 'not given'."""
    plain = text(empty=True)

    def convert(value: Any) -> str:
        value = plain.convert(value)
        compiled(value)
        return value

    return Kind('a regular expression of at most 1000 characters', convert)


def schedule(low: float = -math.inf, high: float = math.inf) -> Kind:
    """A number, or the text of a schedule whose values stay between `low` and `high`."""

    def convert(value: Any) -> float | str:
        if isinstance(value, bool) or not isinstance(value, (int, float, str)):
            raise ValueError('not a schedule')
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
