"""Writing that a crash, a power cut or a full disk leaves either done or not begun."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from dreamerv2.errors import DiskFullError, StorageError

_FULL = (errno.ENOSPC, errno.EDQUOT)
# What file systems say that cannot make a folder durable, such as network drives; renaming is still
# atomic there.
_CANNOT_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)
_CANNOT = (
    *_CANNOT_SYNC, errno.EBADF, errno.EISDIR, errno.EPERM, errno.EACCES, errno.ENOTTY,
)  # fmt: skip
_ADVICE = 'make room and start again with the same command'


def fsync(file: IO[Any]) -> None:
    """Makes the content of a file that is being written durable (where the file system can)."""
    file.flush()
    try:
        os.fsync(file.fileno())
    except OSError as error:
        if error.errno not in _CANNOT_SYNC:
            raise


def fsync_folder(path: Path) -> None:
    """Makes the entries of a folder durable (where the file system can)."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno not in _CANNOT:
            raise


def make_folder(path: Path) -> None:
    """Makes a folder and those above it, and makes their entries durable."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    path.mkdir(parents=True, exist_ok=True)
    for folder in missing:
        fsync_folder(folder.parent)


def write_durably(path: Path, data: bytes) -> None:
    """Writes a file under a temporary name, then renames it; a failure leaves the old one.

    Raises:
        StorageError: it cannot be written; DiskFullError for want of room.
    """
    temporary = path.with_name(f'.{path.name}.{os.getpid()}.tmp')
    with explained(path, len(data)):
        try:
            with open(temporary, 'wb') as file:
                file.write(data)
                fsync(file)
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
        fsync_folder(path.parent)


@contextlib.contextmanager
def explained(path: Path, needed: int) -> Iterator[None]:
    """Turns an OSError into a StorageError that says how many bytes `path` needed."""
    try:
        yield
    except StorageError:
        raise
    except OSError as error:
        code = error.errno or errno.EIO
        if code in _FULL:
            raise DiskFullError(path, code, needed, free_bytes(path), _ADVICE) from error
        raise StorageError(path, code, needed, free_bytes(path)) from error


def free_bytes(path: Path) -> int | None:
    """Bytes that are free where `path` is or will be; None if that cannot be told."""
    for folder in (path, *path.absolute().parents):
        with contextlib.suppress(OSError):
            return shutil.disk_usage(folder).free
    return None
