"""Command lines: `--configs a b`, `--key value`, `--key=value`, `--key v1 v2` and `--help`."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Sequence
from typing import Any

from dreamerv2.config.files import Entry
from dreamerv2.config.merge import HELP
from dreamerv2.errors import UsageError, printable, shown


@dataclasses.dataclass(frozen=True)
class Flags:
    """A parsed command line: names of presets, entries in order, and whether help is requested."""

    presets: tuple[str, ...]
    entries: tuple[Entry, ...]
    help: bool


def parse_flags(argv: Sequence[str]) -> Flags:
    """Parses a command line; raises UsageError for stray values and flags given twice.

    The value of an entry is text, a list of texts, or True for a flag without a value.
    """
    groups: list[tuple[str, list[str]]] = []
    for argument in argv:
        if argument in ('-h', '--help'):
            return Flags((), (), True)
        if argument.startswith('--'):
            name, equals, value = argument[2:].partition('=')
            groups.append((name, [value] if equals else []))
        elif groups:
            groups[-1][1].append(argument)
        else:
            raise UsageError(f'unexpected argument {shown(argument)}: expected --key value; {HELP}')
    for name, count in collections.Counter(name for name, _ in groups).items():
        if not name:
            raise UsageError(f'-- without a key: expected --key value; {HELP}')
        if count > 1:
            raise UsageError(f'--{printable(name)} is given {count} times; keep one')
    presets: list[str] = []
    entries = []
    for name, values in groups:
        if name == 'configs':
            presets = [preset for value in values for preset in value.split(',') if preset]
            if not presets:
                raise UsageError('--configs needs the name of a preset; --help lists them')
        else:
            entries.append(Entry(name, _value(values), f'--{printable(name)}'))
    return Flags(tuple(presets), tuple(entries), False)


def _value(values: list[str]) -> Any:
    if not values:
        return True
    return values[0] if len(values) == 1 else values
