"""The errors that the user can fix, and how what the user gave is shown in it."""

from __future__ import annotations

import os
from typing import Any


class UsageError(Exception):
    """A user's mistake: one line that names the value, what was expected and the way out.

    Commands print the message on standard error and end with exit code 2; nothing is lost.
    """


class StorageError(UsageError, OSError):
    """A file could not be written; what was there before is as it was.

    Attributes:
        errno, strerror, filename: as of every OSError.
        needed: bytes that were to be written.
        free: bytes that are free where the file is; None if that cannot be told.
        advice: the way out.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        code: int,
        needed: int,
        free: int | None,
        advice: str = 'check the disk and start again with the same command',
    ) -> None:
        OSError.__init__(self, code, os.strerror(code), os.fspath(path))
        self.needed = needed
        self.free = free
        self.advice = advice

    def __str__(self) -> str:
        free = 'an unknown number' if self.free is None else self.free
        return (
            f'{self.filename} cannot be written: {self.strerror} ({self.needed} bytes needed, '
            f'{free} free); {self.advice}.'
        )

    def advised(self, advice: str) -> StorageError:
        """The same error with another way out."""
        assert self.filename is not None and self.errno is not None
        return type(self)(self.filename, self.errno, self.needed, self.free, advice)


class DiskFullError(StorageError):
    """There is no room left, or the user's share of it is used up."""


def printable(text: str, most: int = 60) -> str:
    """Text as it can stand in a line: what cannot be printed is escaped, a long middle left out."""
    half = most // 2
    if len(text) > 2 * most:  # so that escaping a huge text takes no time
        text = f'{text[:most]}{text[-most:]}'
    text = ''.join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
    return text if len(text) <= most else f'{text[: most - half - 3]}...{text[-half:]}'


def shown(value: Any, most: int = 60) -> str:
    """A value on one line, shortened, as it stands in an error."""
    try:
        return printable(repr(value), most)
    except ValueError:  # an integer of thousands of digits
        return f'a {type(value).__name__} too long to show'
