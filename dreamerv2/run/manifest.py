"""What a checkpoint's manifest says, and whether its files are what it says.

A manifest names the checkpoint's step, the score of its agent's evaluation if there was one, and
the size and SHA-256 of each file; its last entry is its own SHA-256. Format 1 had neither score nor
that.
"""

from __future__ import annotations

import dataclasses
import math
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dreamerv2.run.files import SEAL, read_json, seal, sha256, unseal

NAME = 'manifest.json'
FORMAT = 2


class DamagedCheckpointError(Exception):
    """A checkpoint that is incomplete or whose content is not what its manifest says."""


@dataclasses.dataclass(frozen=True)
class Manifest:
    """What a manifest says.

    Attributes:
        frames: the step the checkpoint was written at.
        files: by name, `{'bytes': size, 'sha256': digest}`.
        score: of the evaluation of its agent; None if there was none.
    """

    frames: int
    files: Mapping[str, Mapping[str, Any]]
    score: float | None = None

    def to_bytes(self) -> bytes:
        """The manifest's text."""
        return seal({'format': FORMAT, **dataclasses.asdict(self)})


def read(folder: Path) -> Manifest:
    """The manifest of a checkpoint's folder; its files are not looked at.

    Raises:
        DamagedCheckpointError: it is missing, was changed, or says what cannot be.
    """
    try:
        text = (folder / NAME).read_bytes()
        document = read_json(text)
        if document['format'] not in (1, FORMAT):
            raise DamagedCheckpointError(
                f'{folder} has format {document["format"]}, this version reads up to {FORMAT}'
            )
        if document['format'] != 1 or SEAL in document:
            document = unseal(text)
        manifest = Manifest(
            _count(document['frames']), dict(document['files']), document.get('score')
        )
        for name, file in manifest.files.items():
            _check_name(name)
            _count(file['bytes'])
    except FileNotFoundError:
        raise DamagedCheckpointError(f'{folder} has no {NAME}') from None
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise DamagedCheckpointError(f'{folder / NAME} cannot be read ({error})') from error
    if folder.name.isdigit() and int(folder.name) != manifest.frames:
        raise DamagedCheckpointError(f'{folder} is of {manifest.frames} frames')
    if not is_score(manifest.score):
        raise DamagedCheckpointError(f'{folder / NAME} has a score that is no number')
    return manifest


def is_score(value: Any) -> bool:
    """Whether a value can stand for a score: none, or a finite number."""
    if value is None:
        return True
    return isinstance(value, (int, float)) and math.isfinite(value)


def verify(folder: Path, manifest: Manifest) -> None:
    """Compares the files of a checkpoint with its manifest.

    Raises:
        DamagedCheckpointError: one is missing or not what was written.
    """
    for name, expected in manifest.files.items():
        file = folder / name
        try:
            status = file.lstat()
            # A link may lead out of the folder, and a pipe or a device has no end.
            if not stat.S_ISREG(status.st_mode):
                raise DamagedCheckpointError(f'{file} is a link or no file')
            if status.st_size != expected['bytes']:
                raise DamagedCheckpointError(
                    f'{file} has {status.st_size} bytes instead of {expected["bytes"]}'
                )
            if sha256(file) != expected['sha256']:
                raise DamagedCheckpointError(f'{file} is not what was written (SHA-256 differs)')
        except FileNotFoundError:
            raise DamagedCheckpointError(f'{file} is missing') from None
        except OSError as error:
            raise DamagedCheckpointError(f'{file} cannot be read ({error})') from error


def _check_name(name: str) -> None:
    """Refuses names that are not of a file right in the folder."""
    if name in ('', '.', '..', NAME) or '/' in name or '\\' in name or '\0' in name:
        raise ValueError(f'{name!r} is no name of a file in it')


def _count(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f'{value!r} is no count')
    return value
