"""Entries from presets and flags, merged in order and checked key by key."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from dreamerv2.cli import did_you_mean
from dreamerv2.config.files import Entry
from dreamerv2.config.kinds import compiled
from dreamerv2.config.schema import OPEN_GROUPS, SCHEMA, key_of
from dreamerv2.errors import UsageError, printable, shown

HELP = '--help lists every key'
UNBUILT_KEYS = re.compile(r'(dmc|crafter)_\w+$')
LONGEST_PATTERN = 200
MOST_REPEATS = 4
# What looks like a repetition but is not: escapes, classes, and the start of groups.
PLAIN = re.compile(r'\\.|\[[^]]*\]|\(\?', re.DOTALL)


def expand(entry: Entry, flat: Mapping[str, Any], patterns: bool = True) -> list[str]:
    """The dotted keys that an entry sets: the key itself, or all that its pattern matches.

    With `patterns`, a key with a character that no key has is a regular expression, matched from
    the key's start. Raises UsageError when there is no such key.
    """
    key = entry.key
    if key_of(key):
        return [key]
    known = [*SCHEMA, *(name for name in flat if name not in SCHEMA)]
    if patterns and re.search(r'[^A-Za-z0-9_.-]', key):
        try:
            pattern = compiled(key)
            _check_effort(key)
        except ValueError as error:
            reason = printable(str(error), 100)
            raise UsageError(
                f'{entry.where}: {shown(key)} is neither a key nor a regular expression ({reason})'
            ) from error
        matched = [name for name in known if pattern.match(name)]
        if not matched:
            raise UsageError(f'{entry.where}: the pattern {shown(key)} matches no key; {HELP}')
        return matched
    members = [name for name in known if name.startswith(f'{key}.')]
    if members or key in OPEN_GROUPS:
        example = members[0] if members else f'{key}.NAME'
        raise UsageError(f'{entry.where}: {key} is a group of keys; set one, such as {example}')
    if UNBUILT_KEYS.match(key):
        raise UsageError(f'{entry.where}: key {printable(key)} is not supported; {HELP}')
    # A key typed without its group, such as `deter`, is nearest to `rssm.deter`.
    same_name = [name for name in known if name.rpartition('.')[2] == key]
    hint = f'did you mean {same_name[0]}?' if same_name else did_you_mean(key, known)
    raise UsageError(
        '; '.join(filter(None, [f'{entry.where}: unknown key {shown(key)}', hint, HELP]))
    )


def _check_effort(key: str) -> None:
    """Raises ValueError for a pattern that could take years to match a key."""
    if len(key) > LONGEST_PATTERN:
        raise ValueError(f'longer than {LONGEST_PATTERN} characters')
    outline = re.sub(r'([*+?}])[?+]', r'\1', PLAIN.sub('x', key))
    if re.search(r'\)[*+{]', outline):
        raise ValueError('a group may not be repeated')
    if len(re.findall(r'[*+?{]', outline)) > MOST_REPEATS:
        raise ValueError(f'more than {MOST_REPEATS} repetitions')


def convert(key: str, entry: Entry, default: Any) -> Any:
    """The value of an entry, converted by the kind of its key; raises UsageError."""
    declared = key_of(key)
    assert declared is not None, key
    kind = declared.kind
    try:
        return kind.convert(entry.value)
    except (ValueError, TypeError, OverflowError) as error:
        known = default in (None, '', ()) or str(default) in kind.expected
        example = '' if known else f', such as {printable(str(plain(default)), 100)}'
        subject = entry.where if entry.where == f'--{key}' else f'{entry.where}: {key}'
        bare_flag = entry.value is True and entry.where.startswith('--')
        given = 'has no value' if bare_flag else f'is {shown(plain(entry.value))}'
        raise UsageError(f'{subject} {given}, expected {kind.expected}{example}') from error


def merge(
    flat: Mapping[str, Any], entries: Iterable[Entry], patterns: bool = True
) -> dict[str, Any]:
    """A new flat dict of `flat` updated by the entries in order; raises UsageError."""
    merged = dict(flat)
    for entry in entries:
        for key in expand(entry, merged, patterns):
            merged[key] = convert(key, entry, merged.get(key))
    return merged


def plain(value: Any) -> Any:
    """Tuples as lists, for saving and showing."""
    return list(value) if isinstance(value, tuple) else value
