"""The folders of checkpoints: manifests, listing, writing atomically, deleting.

A checkpoint's manifest names its step, the score of its agent's evaluation if there was one, and
the size and SHA-256 of each file; its last entry is its own SHA-256. Format 1 had neither a score
nor its own hash.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import os
import shutil
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from dreamerv2.durable import SEAL, fsync_folder, read_json, seal, sha256, unseal, write_new

MANIFEST = 'manifest.json'
FORMAT = 2
DIGITS = 10


# How good an agent's evaluation was, higher is better: a number, or several that are compared
# lexicographically.
Score = float | tuple[float, ...]


class DamagedCheckpointError(Exception):
    """A checkpoint that is incomplete or does not match its manifest."""


@dataclasses.dataclass(frozen=True)
class Manifest:
    """The content of a manifest.

    Attributes:
        frames: the step the checkpoint was written at.
        files: by name, `{'bytes': size, 'sha256': digest}`.
        score: of the evaluation of its agent; None without one.
    """

    frames: int
    files: Mapping[str, Mapping[str, Any]]
    score: Score | None = None

    def to_bytes(self) -> bytes:
        """The manifest's text."""
        return seal({'format': FORMAT, **dataclasses.asdict(self)})


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a checkpoint's folder; its files are not checked.

    Raises:
        DamagedCheckpointError: it is missing, was changed, or is invalid.
    """
    try:
        text = (folder / MANIFEST).read_bytes()
        document = read_json(text)
        if document['format'] not in (1, FORMAT):
            raise DamagedCheckpointError(
                f'{folder} has format {document["format"]}, this version reads up to {FORMAT}'
            )
        if document['format'] != 1 or SEAL in document:
            document = unseal(text)
        manifest = Manifest(
            _count(document['frames']), dict(document['files']), _as_score(document.get('score'))
        )
        for name, file in manifest.files.items():
            _check_name(name)
            _count(file['bytes'])
    except FileNotFoundError:
        raise DamagedCheckpointError(f'{folder} has no {MANIFEST}') from None
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise DamagedCheckpointError(f'{folder / MANIFEST} cannot be read ({error})') from error
    if folder.name.isdigit() and int(folder.name) != manifest.frames:
        raise DamagedCheckpointError(f'{folder} is a checkpoint of {manifest.frames} frames')
    if not is_score(manifest.score):
        raise DamagedCheckpointError(f'{folder / MANIFEST} has a score that is not a number')
    return manifest


def is_score(value: Any) -> bool:
    """Whether a value is a valid score: None, a finite number or several."""
    if value is None:
        return True
    numbers = value if isinstance(value, tuple) else (value,)
    return bool(numbers) and all(
        isinstance(number, (int, float)) and math.isfinite(number) for number in numbers
    )


def _as_score(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def verify(folder: Path, manifest: Manifest) -> None:
    """Compares the files of a checkpoint with its manifest.

    Raises:
        DamagedCheckpointError: one is missing or was changed.
    """
    for name, expected in manifest.files.items():
        file = folder / name
        try:
            status = file.lstat()
            # A link may point outside the folder, and a pipe or a device never ends.
            if not stat.S_ISREG(status.st_mode):
                raise DamagedCheckpointError(f'{file} is a link or not a regular file')
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
    """Refuses names that are not of a file directly in the folder."""
    if name in ('', '.', '..', MANIFEST) or '/' in name or '\\' in name or '\0' in name:
        raise ValueError(f'{name!r} is not the name of a file in it')


def _count(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f'{value!r} is not a count')
    return value


def folder_name(frames: int) -> str:
    """Name of the folder of a checkpoint: its frames, zero-padded."""
    return f'{frames:0{DIGITS}d}'


def available(root: Path) -> list[Path]:
    """The checkpoints' folders, oldest first; not verified."""
    if not root.is_dir():
        return []
    return sorted(path for path in root.iterdir() if path.is_dir() and path.name.isdigit())


def enclosing(path: Path) -> tuple[Path, int | None] | None:
    """The logdir that a path is inside of, and the frames of the checkpoint it names, if any.

    None for a path that is not inside a logdir, such as a logdir itself.
    """
    inside = ('checkpoints', 'train_episodes', 'config.yaml', 'metrics.jsonl', 'provenance.json')
    for place in path.parents:
        name, *rest = path.relative_to(place).parts
        if name == 'checkpoints' and rest and rest[0].isdecimal():
            return place, int(rest[0])
        if name in inside and (place / 'checkpoints').is_dir():
            return place, None
    return None


def by_score(root: Path) -> list[Path]:
    """The folders of the checkpoints with a score, best first; among equals the newest first.

    A score of several numbers ranks above one of fewer, written by an earlier version. Damaged
    manifests are left out; other files are not checked.
    """
    scored = []
    for path in available(root):
        with contextlib.suppress(DamagedCheckpointError):
            score = read_manifest(path).score
            if score is not None:
                numbers = score if isinstance(score, tuple) else (score,)
                scored.append((len(numbers), numbers, path.name, path))
    return [path for *_, path in sorted(scored, reverse=True)]


def recover(root: Path) -> None:
    """Removes what a crash left: partly written checkpoints and replacements."""
    if not root.is_dir():
        return
    restore_replaced(root)
    for path in (*root.glob('.*.tmp'), *root.glob('.*.old')):
        shutil.rmtree(path, ignore_errors=True)
    for path in root.glob(f'*/.{MANIFEST}.*.tmp'):
        path.unlink(missing_ok=True)


def restore_replaced(root: Path) -> None:
    """Restores the name of a checkpoint whose replacement was interrupted by a crash."""
    for path in root.glob('.*.old'):
        target = root / path.name[1 : -len('.old')]
        if not target.exists():
            os.rename(path, target)


def write(
    folder: Path, frames: int, contents: Mapping[str, Iterable[Any]], score: Score | None
) -> None:
    """Makes a folder of the files and their manifest, durable except for the folder's own name."""
    folder.mkdir()
    written = {}
    for name, chunks in contents.items():
        size, digest = write_new(folder / name, chunks)
        written[name] = {'bytes': size, 'sha256': digest}
    write_new(folder / MANIFEST, [Manifest(frames, written, score).to_bytes()])
    fsync_folder(folder)


def put(temporary: Path, target: Path) -> None:
    """Gives a complete folder its final name; a previous folder of that name stays until then."""
    old = target.with_name(f'.{target.name}.old')
    replaces = target.exists()
    if replaces:
        os.rename(target, old)
    try:
        os.rename(temporary, target)
    except BaseException:
        if replaces:
            os.rename(old, target)
        raise
    fsync_folder(target.parent)
    if replaces:
        shutil.rmtree(old, ignore_errors=True)


def prune(root: Path, keep: int, written: Path) -> None:
    """Deletes all but the newest `keep` (0: none), the best, those marked, and the one written."""
    paths = available(root)
    spared = [written, *by_score(root)[:1]]
    for path in paths[:-keep] if keep else []:
        if path not in spared and not (path / 'keep').exists():
            # Renamed first, so that a crash while deleting leaves no partial checkpoint.
            dying = root / f'.{path.name}.tmp'
            os.rename(path, dying)
            shutil.rmtree(dying, ignore_errors=True)
