"""Errors that the user can fix, and how their messages show values."""

from __future__ import annotations

import os
from typing import Any


class UsageError(Exception):
    """A user's mistake: one line that names the value, what was expected and how to fix it.

    Commands print the message on standard error and end with exit code 2; nothing is lost.
    """


class StorageError(UsageError, OSError):
    """A file could not be written; what was there before is unchanged.

    Attributes:
        errno, strerror, filename: as for every OSError.
        needed: bytes that were to be written.
        free: free bytes where the file is; None if unknown.
        advice: how to fix it.
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
        """The same error with other advice."""
        assert self.filename is not None and self.errno is not None
        return type(self)(self.filename, self.errno, self.needed, self.free, advice)


class DiskFullError(StorageError):
    """The disk is full, or the user's quota is used up."""


def printable(text: str, most: int = 60) -> str:
    """Text on one line: what cannot be printed is escaped, the middle of a long text left out."""
    half = most // 2
    if len(text) > 2 * most:  # so that escaping a huge text takes no time
        text = f'{text[:most]}{text[-most:]}'
    text = ''.join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
    return text if len(text) <= most else f'{text[: most - half - 3]}...{text[-half:]}'


def shown(value: Any, most: int = 60) -> str:
    """A value on one line, shortened, for an error message."""
    try:
        return printable(repr(value), most)
    except ValueError:  # an integer of thousands of digits
        return f'a {type(value).__name__} too long to show'
