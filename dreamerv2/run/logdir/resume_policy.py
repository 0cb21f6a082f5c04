"""How a run may differ from what it was when it resumes: freely, when accepted, or never.

What holds for a key is said where the key is declared (`dreamerv2.config.schema`).
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from typing import Any

from dreamerv2.config import Config, load_config
from dreamerv2.config.files import default_file, read_presets
from dreamerv2.config.merge import plain
from dreamerv2.config.schema import FREE, UNCOMPARED, Resume, key_of
from dreamerv2.envs import parse_task
from dreamerv2.errors import UsageError, printable, shown
from dreamerv2.run.build import task_sets

SHOWN_AT_MOST = 10
UNKNOWN = Resume(reason='is not known to be safe')


@dataclasses.dataclass(frozen=True)
class Change:
    """A key that differs."""

    key: str  # dotted
    old: Any
    new: Any
    acceptable: bool = False  # when the user accepts it; a free one always is
    reason: str = ''  # why it may not change, or empty

    @property
    def free(self) -> bool:
        """Whether it may change without being accepted."""
        return not self.acceptable and not self.reason

    def __str__(self) -> str:
        return f'{self.key} {shown(self.old)} -> {shown(self.new)}'


def changes(old: Config, new: Config, *, learned: bool = True) -> list[Change]:
    """The keys in which two configurations differ: the fixed ones, the acceptable, the free.

    `learned` says whether there is a checkpoint. As long as there is none, all that a logdir holds
    are episodes of random play: whatever steers learning is free, and so are the networks.
    """
    before, after = old.flat, new.flat
    same_levels = _levels(old) == _levels(new)
    found = []
    for key in sorted({*before, *after}):
        if before.get(key) == after.get(key) or not _compared(key):
            continue
        declared = key_of(key)
        policy = UNKNOWN if declared is None or declared.resume is None else declared.resume
        unlearned = not learned and (policy.learning or policy.accepted)
        if unlearned or (key.startswith('sets.') and same_levels):
            policy = FREE
        values = plain(before.get(key)), plain(after.get(key))
        found.append(Change(key, *values, acceptable=policy.accepted, reason=policy.reason))
    return sorted(found, key=lambda change: (not change.reason, not change.acceptable))


def as_lines(found: Sequence[Change]) -> list[str]:
    """One line for each change with what it takes, and one for those that are too many."""
    lines = []
    for change in found[:SHOWN_AT_MOST]:
        verdict = 'needs --accept_changes True' if change.acceptable else 'may change'
        if change.reason:
            verdict = f'never: it {change.reason}'
        lines.append(f'  {change} ({verdict})')
    if len(found) > SHOWN_AT_MOST:
        lines.append(f'  and {len(found) - SHOWN_AT_MOST} more')
    return lines


def note(found: Sequence[Change]) -> str:
    """One line about the changes with which a run resumes."""
    listed = ', '.join(map(str, found[:SHOWN_AT_MOST]))
    more = len(found) - SHOWN_AT_MOST
    return f'Resuming with changes: {listed}{f" and {more} more" if more > 0 else ""}.'


def refusal(path: str, found: Sequence[Change], new: Config) -> str:
    """One line about why a run does not resume, with a hint."""
    first, *others = [change for change in found if not change.free]
    more = f' ({len(others)} more {"differs" if len(others) == 1 else "differ"})' if others else ''
    ways = ['repeat its command to resume it', 'choose another --logdir']
    if preset := _earlier_preset([first, *others], new):
        name = preset.rpartition('_')[0]
        ways[0] = f'the preset {name} has changed since: resume it with --configs {preset}'
    elif first.reason:
        ways[0] = f'{first.key} {first.reason} and cannot change. Repeat its command to resume it'
    else:
        ways.append('accept the changes by --accept_changes True')
    return (
        f'{printable(path, 200)} holds a run with {first.key} {shown(first.old)}, but '
        f'{shown(first.new)} is asked for{more}: '
        f'{", ".join(ways[:-1])}{"," if len(ways) > 2 else ""} or {ways[-1]}.'
    )


def _earlier_preset(found: Sequence[Change], new: Config) -> str:
    """The preset `NAME_vN` with the old values, where `new` has those of the preset `NAME`.

    Not where `new` has a value that only the earlier preset has: it was made with that one.
    """
    for preset in read_presets(default_file()):
        if not re.fullmatch(r'.+_v\d+', preset):
            continue
        before, now = (load_config(presets=[p]).flat for p in (preset, preset.rpartition('_')[0]))
        changed = [key for key, value in before.items() if now.get(key) != value]
        if all(new[key] != before[key] for key in changed if _compared(key)) and all(
            change.old == plain(before[change.key]) and change.new == plain(now[change.key])
            for change in found
        ):
            return preset
    return ''


def _compared(key: str) -> bool:
    declared = key_of(key)
    return declared is None or declared.resume is not UNCOMPARED


def _levels(config: Config) -> tuple[str, ...] | None:
    """What the task stands for; None for an environment of the user's own."""
    try:
        return parse_task(config.task, task_sets(config)).names
    except UsageError:
        return None
