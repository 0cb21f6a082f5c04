"""Command lines: `--configs a b`, `--key value`, `--key=value`, `--key v1 v2`; and `--help`."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from dreamerv2.config.files import Entry
from dreamerv2.config.merge import HELP, plain
from dreamerv2.config.schema import GROUPS
from dreamerv2.errors import UsageError, printable, shown

USAGE = """\
usage: python dreamerv2/train.py [--configs PRESET ...] [--KEY VALUE ...]

  python dreamerv2/train.py --configs mario_small --task mario_1-1 --seed 1 --logdir ~/logdir/1-1/1
  python dreamerv2/train.py --configs mario debug --replay.past_end all --encoder.mlp_layers 64 64

Presets override the defaults in order, then the flags. KEY may be a regular expression over
dotted keys, such as --.*\\.wd 0. --dry_run checks the configuration and prints it."""


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
            given: Any = values if len(values) > 1 else values[0] if values else True
            entries.append(Entry(name, given, f'--{printable(name)}'))
    return Flags(tuple(presets), tuple(entries), False)


def overview(defaults: Mapping[str, Any], presets: Mapping[str, str]) -> str:
    """The text of `--help`: usage, presets, and every key with its default and explanation."""
    lines = [USAGE, '', 'Presets']
    lines += [f'  {name:13} {text}'.rstrip() for name, text in presets.items()]
    for title, keys in GROUPS.items():
        lines += ['', title]
        for name, key in keys.items():
            lines.append(f'  --{name} {_shown(defaults[name])}'.ljust(40) + f'  {key.doc}')
    lines += ['', 'Task sets, such as in --task mario_e4 or --task atari_atari4']
    for name, value in defaults.items():
        if name.startswith('sets.'):
            lines.append(f'  {name.partition(".")[2]:13} {" ".join(value)}')
    return '\n'.join(lines)


def _shown(value: Any) -> str:
    value = plain(value)
    if isinstance(value, list):
        return ' '.join(map(str, value)) or "''"
    if isinstance(value, int) and not isinstance(value, bool) and value >= 10**4:
        return f'{value:g}'.replace('e+0', 'e')
    return str(value) if value != '' else "''"
