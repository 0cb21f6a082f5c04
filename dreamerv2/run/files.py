"""Files that are either whole or not there."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any


def fsync_folder(path: Path) -> None:
    """Makes the entries of a folder durable (where the file system can)."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError:
        pass  # Some network file systems cannot; the rename itself is still atomic.
    finally:
        os.close(descriptor)


def fsync_file(path: Path) -> None:
    """Makes a file's content durable."""
    with open(path, 'rb+') as file:
        os.fsync(file.fileno())


def write_durably(path: Path, data: bytes) -> None:
    """Writes a file under a temporary name, then renames it; a crash leaves the old one."""
    temporary = path.with_name(f'.{path.name}.{os.getpid()}.tmp')
    with open(temporary, 'wb') as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
    fsync_folder(path.parent)


def to_json(value: Any) -> bytes:
    """JSON text of plain values, one key a line at the top."""
    return (json.dumps(value, indent=2, default=_plain) + '\n').encode()


def sha256(path: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal."""
    digest = hashlib.sha256()
    with open(path, 'rb') as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _plain(value: Any) -> Any:
    """NumPy values as JSON has them."""
    if hasattr(value, 'tolist'):
        return value.tolist()
    if isinstance(value, (set, tuple)):
        return list(value)
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f'{type(value).__name__} cannot be written as JSON.')
