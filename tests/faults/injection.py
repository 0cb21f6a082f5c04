"""A file system on which a call can be made to fail, by its position among all calls.

Counted are the calls of `os` and `open` that change something: opening for writing (and of folders,
which precedes their fsync), writing, flushing, fsync, rename, replace, mkdir, unlink and rmdir.
Inside, fsync does nothing but remember what is durable.
"""

from __future__ import annotations

import builtins
import errno
import io
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

# Calls that a full disk lets through.
_NEED_NO_ROOM = ('rename', 'replace', 'unlink', 'remove', 'rmdir')


class Crashed(BaseException):
    """The process ended here: nothing that it would have done happens any more."""


class Faults:
    """Lets the call at a position fail; as a context manager.

    Args:
        position: of the call, from 0; None lets none fail.
        code: an error number; None for a crash, after which every call fails.
        lasting: whether what needs room (ENOSPC) or everything (others) fails from there on.

    Attributes:
        calls: names of the calls so far, in order.
        failed: whether one was made to fail.
    """

    def __init__(
        self, position: int | None = None, code: int | None = None, lasting: bool = False
    ) -> None:
        self.calls: list[str] = []
        self.failed = False
        self._position = position
        self._code = code
        self._lasting = lasting or code is None
        self._unsynced: set[int] = set()
        self._patches: list[Any] = []

    def __enter__(self) -> Faults:
        for name in ('rename', 'replace', 'mkdir', 'unlink', 'remove', 'rmdir'):
            self._patch(os, name, self._counted(name, getattr(os, name)))
        self._patch(os, 'open', self._open_descriptor(os.open))
        self._patch(os, 'fsync', self._counted('fsync', self._sync))
        opened = self._open(builtins.open)
        self._patch(builtins, 'open', opened)
        self._patch(io, 'open', opened)
        return self

    def __exit__(self, *_: object) -> None:
        for patch in reversed(self._patches):
            patch.stop()

    def lose_unsynced(self, folder: Path) -> None:
        """Empties the files whose content no fsync made durable, as a power cut may."""
        for path in folder.rglob('*'):
            if path.is_file() and path.stat().st_ino in self._unsynced:
                os.truncate(path, 0)

    def count(self, name: str, partly: Callable[[], object] = lambda: None) -> None:
        """Notes a call, and raises if it is to fail, after doing a part of it."""
        number = len(self.calls)
        self.calls.append(name)
        if self._position is None or number < self._position:
            return
        if number > self._position:
            if not self._lasting or (self._code == errno.ENOSPC and name in _NEED_NO_ROOM):
                return
        else:
            partly()
        self.failed = True
        if self._code is None:
            raise Crashed
        raise OSError(self._code, os.strerror(self._code))

    def _patch(self, module: Any, name: str, function: Callable[..., Any]) -> None:
        patch = mock.patch.object(module, name, function)
        patch.start()
        self._patches.append(patch)

    def _counted(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            self.count(name)
            return function(*args, **kwargs)

        return call

    def _open_descriptor(self, function: Callable[..., int]) -> Callable[..., int]:
        def call(path: Any, flags: int, *args: Any, **kwargs: Any) -> int:
            self.count('open')
            return function(path, flags, *args, **kwargs)

        return call

    def _sync(self, descriptor: int) -> None:
        status = os.fstat(descriptor)
        if stat.S_ISREG(status.st_mode):
            self._unsynced.discard(status.st_ino)

    def _open(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(path: Any, mode: str = 'r', *args: Any, **kwargs: Any) -> Any:
            if not set(mode) & set('wax+'):
                return function(path, mode, *args, **kwargs)
            self.count('open')
            file = function(path, mode, *args, **kwargs)
            self._unsynced.add(os.fstat(file.fileno()).st_ino)
            return _File(file, self)

        return call


class _File:
    """An open file whose writes are counted; one that fails has written half."""

    def __init__(self, file: Any, faults: Faults) -> None:
        self._file = file
        self._faults = faults

    def write(self, data: Any) -> int:
        half = bytes(data)[: len(data) // 2]
        self._faults.count('write', lambda: self._file.write(half))
        return self._file.write(data)

    def flush(self) -> None:
        self._faults.count('flush')
        self._file.flush()

    def __enter__(self) -> _File:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)
