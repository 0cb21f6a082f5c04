"""The result of a check, and the table of results."""

from __future__ import annotations

import dataclasses
import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

OK = 'ok'
WARNING = 'warning'
FAILED = 'FAILED'

_INDENT = 30
_LONGEST = 600


@dataclasses.dataclass(frozen=True)
class Row:
    """The result of a check."""

    check: str  # what was checked
    status: str  # OK, WARNING (training works, but see why) or FAILED
    seen: str  # what was found, with the file or value
    hint: str = ''  # what to do about it


Check = tuple[str, Callable[[], Row | Sequence[Row]]]


def ok(check: str, seen: str) -> Row:
    """A row for a passed check."""
    return Row(check, OK, seen)


def warning(check: str, seen: str, hint: str) -> Row:
    """A row for something that may become a problem."""
    return Row(check, WARNING, seen, hint)


def failed(check: str, seen: str, hint: str) -> Row:
    """A row for a failed check."""
    return Row(check, FAILED, seen, hint)


def at_least(check: str, amount: float, little: float, least: float, seen: str, hint: str) -> Row:
    """A row for an amount: a warning where it is little, failed where it is below the least."""
    if amount < least:
        return failed(check, seen, hint)
    return warning(check, seen, hint) if amount < little else ok(check, seen)


def leftovers(check: str, folder: Path, names: Sequence[str], alive: bool) -> list[Row]:
    """A row about temporary files that a crash left; a running process may be writing them."""
    if alive or not names:
        return []
    seen = f'a crash left {", ".join(names)} in {folder}'
    return [warning(check, seen, 'nothing to do: a resumed run removes it')]


def words_of(error: BaseException) -> str:
    """An error's kind and message in one line of bounded length."""
    message = ' '.join(str(error).split())
    words = f'{type(error).__name__}: {message}' if message else type(error).__name__
    return words if len(words) <= _LONGEST else words[:_LONGEST] + ' ...'


def examine(checks: Iterable[Check]) -> Iterator[Row]:
    """Runs checks in order and yields their rows; one that crashes yields a failed row."""
    for name, function in checks:
        try:
            found = function()
        except ImportError as error:
            hint = '`python -m dreamerv2.doctor` says what is missing in this installation'
            yield failed(name, words_of(error), hint)
        except (Exception, SystemExit) as error:
            hint = 'check what the message names; if that is fine, report this table'
            yield failed(name, f'the check itself failed with {words_of(error)}', hint)
        else:
            yield from [found] if isinstance(found, Row) else found


def lines(row: Row, width: int = 100) -> list[str]:
    """A row as lines of a table: check, status and what was seen, the hint below."""
    room = max(width - _INDENT, 40)
    wrap = textwrap.TextWrapper(room, break_long_words=False, break_on_hyphens=False)
    texts = wrap.wrap(row.seen) or ['']
    if row.hint:
        texts += wrap.wrap(f'hint: {row.hint}')
    first = f'{row.check:20s} {row.status:8s} {texts[0]}'
    return [first.rstrip(), *(' ' * _INDENT + text for text in texts[1:])]


def summary(rows: Sequence[Row]) -> str:
    """How many rows there are of each status, in one line."""
    counts = {status: sum(row.status == status for row in rows) for status in (OK, WARNING, FAILED)}
    return ', '.join(f'{count} {status}' for status, count in counts.items())
