"""Atomic, durable writes: a crash, power cut or full disk leaves the old file or the new one.

Also checksums: sealed JSON, digests.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from dreamerv2.errors import DiskFullError, StorageError

SEAL = 'sha256'
_BLANK = '0' * 64
_FULL = (errno.ENOSPC, errno.EDQUOT)
# Errors of file systems that cannot fsync a folder, such as network drives; renaming is still
# atomic there.
_CANNOT_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)
_CANNOT = (
    *_CANNOT_SYNC, errno.EBADF, errno.EISDIR, errno.EPERM, errno.EACCES, errno.ENOTTY,
)  # fmt: skip
_ADVICE = 'make room and start again with the same command'


def fsync(file: IO[Any]) -> None:
    """Makes the content of an open file durable (where the file system can)."""
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
        StorageError: it cannot be written; DiskFullError where the disk is full.
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
    """Free bytes where `path` is or will be; None if unknown."""
    for folder in (path, *path.absolute().parents):
        with contextlib.suppress(OSError):
            return shutil.disk_usage(folder).free
    return None


def write_new(path: Path, chunks: Iterable[Any]) -> tuple[int, str]:
    """Writes a file of a folder that does not have its final name yet.

    Args:
        path: where.
        chunks: its content: bytes, or objects with a buffer of bytes.

    Returns:
        Number of bytes written and their SHA-256; the file is durable.
    """
    digest, size = hashlib.sha256(), 0
    with open(path, 'wb') as file:
        for chunk in chunks:
            file.write(chunk)
            digest.update(chunk)
            size += len(chunk)
        fsync(file)
    return size, digest.hexdigest()


def to_json(value: Any) -> bytes:
    """JSON text of plain values, one top-level key per line."""
    return (json.dumps(value, indent=2, default=_plain) + '\n').encode()


def seal(document: Mapping[str, Any]) -> bytes:
    """JSON text whose last entry is the SHA-256 of the text with zeros in its place."""
    text = to_json({**document, SEAL: _BLANK})
    return text.replace(_BLANK.encode(), hashlib.sha256(text).hexdigest().encode())


def unseal(text: bytes) -> dict[str, Any]:
    """The document of a sealed text, with its seal.

    Raises:
        ValueError: the text was changed after it was sealed, or never sealed.
    """
    document = read_json(text)
    digest = document.get(SEAL) if isinstance(document, dict) else None
    if not isinstance(digest, str) or len(digest) != len(_BLANK):
        raise ValueError('it lacks its own SHA-256')
    blank = text.replace(digest.encode(), _BLANK.encode())
    if hashlib.sha256(blank).hexdigest() != digest:
        raise ValueError('it was changed (SHA-256 differs)')
    return document


def read_json(text: bytes) -> Any:
    """The value of an untrusted JSON text.

    Raises:
        ValueError: not valid JSON, or nested too deeply.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError('it is nested too deeply') from None


def sha256(path: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal."""
    digest = hashlib.sha256()
    with open(path, 'rb') as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _plain(value: Any) -> Any:
    """Converts NumPy values for JSON."""
    if hasattr(value, 'tolist'):
        return value.tolist()
    if isinstance(value, (set, tuple)):
        return list(value)
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f'{type(value).__name__} cannot be written as JSON.')
