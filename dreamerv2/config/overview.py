"""The text of `--help`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dreamerv2.config.merge import plain
from dreamerv2.config.schema import GROUPS

USAGE = """\
usage: python dreamerv2/train.py [--configs PRESET ...] [--KEY VALUE ...]

  python dreamerv2/train.py --configs mario_small --task mario_1-1 --seed 1 --logdir ~/logdir/1-1/1
  python dreamerv2/train.py --configs mario debug --replay.past_end all --encoder.mlp_layers 64 64

Presets override the defaults in order, then the flags. KEY may be a regular expression over
dotted keys, such as --.*\\.wd 0. --dry_run checks the configuration and prints it."""


def overview(defaults: Mapping[str, Any], presets: Mapping[str, str]) -> str:
    """Usage, presets with their descriptions, and all keys with default value and explanation."""
    lines = [USAGE, '', 'Presets']
    lines += [f'  {name:13} {text}'.rstrip() for name, text in presets.items()]
    for title, keys in GROUPS.items():
        lines += ['', title]
        for name, key in keys.items():
            lines.append(f'  --{name} {_value(defaults[name])}'.ljust(40) + f'  {key.doc}')
    lines += ['', 'Task sets, such as in --task mario_e4 or --task atari_atari4']
    for name, value in defaults.items():
        if name.startswith('sets.'):
            lines.append(f'  {name.partition(".")[2]:13} {" ".join(value)}')
    return '\n'.join(lines)


def _value(value: Any) -> str:
    value = plain(value)
    if isinstance(value, list):
        return ' '.join(map(str, value)) or "''"
    if isinstance(value, int) and not isinstance(value, bool) and value >= 10**4:
        return f'{value:g}'.replace('e+0', 'e')
    return str(value) if value != '' else "''"
