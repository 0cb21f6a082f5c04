"""What is written in a logdir: durable files, JSON with and without a seal, digests."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from dreamerv2.durable import fsync, fsync_folder, write_durably

__all__ = [
    'fsync',
    'fsync_folder',
    'read_json',
    'seal',
    'sha256',
    'to_json',
    'unseal',
    'write_durably',
    'write_new',
]

SEAL = 'sha256'
_BLANK = '0' * 64


def write_new(path: Path, chunks: Iterable[Any]) -> tuple[int, str]:
    """Writes a file of a folder that is not in its place yet.

    Args:
        path: where.
        chunks: its content in turn: bytes, or what has a buffer of bytes.

    Returns:
        Bytes written and their SHA-256. They are durable.
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
    """JSON text of plain values, one key a line at the top."""
    return (json.dumps(value, indent=2, default=_plain) + '\n').encode()


def seal(document: Mapping[str, Any]) -> bytes:
    """JSON text whose last entry is the SHA-256 of the text, taken with zeros in its place."""
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
        raise ValueError('it has no SHA-256 of itself')
    blank = text.replace(digest.encode(), _BLANK.encode())
    if hashlib.sha256(blank).hexdigest() != digest:
        raise ValueError('it is not what was written (SHA-256 differs)')
    return document


def read_json(text: bytes) -> Any:
    """The value of a JSON text, whoever wrote it.

    Raises:
        ValueError: it is no JSON, or nested without end.
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
    """NumPy values as JSON has them."""
    if hasattr(value, 'tolist'):
        return value.tolist()
    if isinstance(value, (set, tuple)):
        return list(value)
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f'{type(value).__name__} cannot be written as JSON.')
