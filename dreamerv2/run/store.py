"""The folders of checkpoints: listing them, putting them in place, clearing away."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from dreamerv2.run import manifest as manifests
from dreamerv2.run.files import fsync_folder, write_new
from dreamerv2.run.manifest import DamagedCheckpointError, Manifest

DIGITS = 10


def folder_name(frames: int) -> str:
    """Name of the folder of a checkpoint: its frames, zero-padded."""
    return f'{frames:0{DIGITS}d}'


def available(root: Path) -> list[Path]:
    """The checkpoints' folders, oldest first; not verified."""
    if not root.is_dir():
        return []
    return sorted(path for path in root.iterdir() if path.is_dir() and path.name.isdigit())


def enclosing(path: Path) -> tuple[Path, int | None] | None:
    """The logdir that a path leads into, and the frames of the checkpoint it names, if any.

    None for a path that does not lead into a logdir, such as that of a logdir itself.
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
    """The folders of the checkpoints with a score, the best first; of equals the newest first.

    Not verified: damaged manifests are left out, and other files not looked at.
    """
    scored = []
    for path in available(root):
        with contextlib.suppress(DamagedCheckpointError):
            score = manifests.read(path).score
            if score is not None:
                scored.append((score, path.name, path))
    return [path for _, _, path in sorted(scored, reverse=True)]


def recover(root: Path) -> None:
    """Clears away what a crash left: half-written checkpoints, and half-made replacements."""
    if not root.is_dir():
        return
    restore_replaced(root)
    for path in (*root.glob('.*.tmp'), *root.glob('.*.old')):
        shutil.rmtree(path, ignore_errors=True)
    for path in root.glob(f'*/.{manifests.NAME}.*.tmp'):
        path.unlink(missing_ok=True)


def restore_replaced(root: Path) -> None:
    """Gives a checkpoint whose replacement a crash kept from its place its name again."""
    for path in root.glob('.*.old'):
        target = root / path.name[1 : -len('.old')]
        if not target.exists():
            os.rename(path, target)


def write(
    folder: Path, frames: int, contents: Mapping[str, Iterable[Any]], score: float | None
) -> None:
    """Makes a folder with the files and their manifest, durable but for the folder's own name."""
    folder.mkdir()
    written = {}
    for name, chunks in contents.items():
        size, digest = write_new(folder / name, chunks)
        written[name] = {'bytes': size, 'sha256': digest}
    write_new(folder / manifests.NAME, [Manifest(frames, written, score).to_bytes()])
    fsync_folder(folder)


def put(temporary: Path, target: Path) -> None:
    """Gives a complete folder its name; what had that name before stays until then."""
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
            # Renamed first: a crash while deleting leaves no half checkpoint behind.
            dying = root / f'.{path.name}.tmp'
            os.rename(path, dying)
            shutil.rmtree(dying, ignore_errors=True)
