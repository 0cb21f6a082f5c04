"""Where trained agents are: `zoo:NAME` is one that comes with the repository, all else a logdir."""

from __future__ import annotations

import os
from pathlib import Path

from dreamerv2.cli import did_you_mean
from dreamerv2.errors import UsageError, printable
from dreamerv2.paths import expand_home

PREFIX = 'zoo:'
CARD = 'README.md'
ROOT = Path(__file__).resolve().parents[3] / 'zoo'


def names() -> list[str]:
    """The agents of the zoo, sorted."""
    return sorted(card.parent.name for card in ROOT.glob(f'*/{CARD}'))


def located(source: str | os.PathLike[str]) -> Path:
    """The logdir of a run, or the folder of an agent of the zoo, which is like one.

    Raises:
        UsageError: there is no such agent, or no zoo, or no such home folder.
    """
    text = os.fspath(source)
    if not text.startswith(PREFIX):
        return expand_home(source)
    name = text.removeprefix(PREFIX)
    known = names()
    if name in known:
        return ROOT / name
    if not known:
        raise UsageError(
            f'{printable(text)}: there is no zoo here; it is in a clone of the repository'
        )
    hint = did_you_mean(name, known) or f'there are {", ".join(known)}'
    raise UsageError(f'{printable(text)}: there is no such agent in the zoo; {hint}')
