"""Checkpoints: one folder each, whole or not there, checked when read.

    checkpoints/0000040000/
        agent.safetensors   the agent's arrays by name
        batch.npz           the next batch, drawn already (once training has begun)
        unfinished.npz      the episodes that are going on, and the policy's state
        state.json          counters, random-number states, environments, replay
        config.yaml         the run's configuration
        provenance.json     what made it
        manifest.json       size and SHA-256 of each file above; written last

The folder's name is the number of frames. It is written under a temporary name and renamed when
it is complete; only then is the oldest one deleted. A file named `keep` in a checkpoint's folder
keeps it from being deleted.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from dreamerv2.errors import UsageError
from dreamerv2.run.files import fsync_file, fsync_folder, sha256, to_json, write_durably

FORMAT = 1
DIGITS = 10
MANIFEST = 'manifest.json'
ARRAYS = 'agent.safetensors'
BATCH = 'batch.npz'
UNFINISHED = 'unfinished.npz'


class DamagedCheckpointError(Exception):
    """A checkpoint that is incomplete or whose content is not what its manifest says."""


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """A verified checkpoint.

    Attributes:
        path: its folder.
        frames: the step it was written at, in frames.
        state: the documents of `state.json`.
    """

    path: Path
    frames: int
    state: dict[str, Any]

    def arrays(self) -> dict[str, np.ndarray]:
        """The agent's arrays by name."""
        return dict(safetensors.numpy.load_file(self.path / ARRAYS))

    def file(self, name: str) -> bytes | None:
        """Content of one of the files that not every checkpoint has, or None."""
        path = self.path / name
        return path.read_bytes() if path.exists() else None

    @property
    def config_path(self) -> Path:
        """The configuration's file."""
        return self.path / 'config.yaml'


def folder_name(frames: int) -> str:
    """Name of the folder of a checkpoint: its frames, zero-padded."""
    return f'{frames:0{DIGITS}d}'


def save(
    root: Path,
    frames: int,
    *,
    arrays: Mapping[str, np.ndarray],
    state: Mapping[str, Any],
    files: Mapping[str, bytes],
    keep: int = 2,
) -> Path:
    """Writes a checkpoint, then deletes those older than the newest `keep`.

    Args:
        root: the folder `checkpoints` of a logdir.
        frames: the step, in frames.
        arrays: the agent's arrays by name.
        state: what `state.json` holds; plain values.
        files: further files by name.
        keep: how many checkpoints stay; 0 keeps all.

    Returns:
        The checkpoint's folder. An undamaged checkpoint with the same state is left as it is.
    """
    root.mkdir(parents=True, exist_ok=True)
    recover(root)
    target = root / folder_name(frames)
    if target.exists() and _same(target, state):
        return target
    temporary = root / f'.{target.name}.tmp'
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    # `np.asarray` and not `ascontiguousarray`, which would turn scalars into vectors.
    contiguous = {name: np.asarray(value, order='C') for name, value in arrays.items()}
    safetensors.numpy.save_file(contiguous, temporary / ARRAYS)
    fsync_file(temporary / ARRAYS)
    for name, data in {'state.json': to_json(dict(state)), **files}.items():
        write_durably(temporary / name, data)
    manifest = {
        'format': FORMAT,
        'frames': frames,
        'files': {
            path.name: {'bytes': path.stat().st_size, 'sha256': sha256(path)}
            for path in sorted(temporary.iterdir())
        },
    }
    write_durably(temporary / MANIFEST, to_json(manifest))
    if target.exists():
        old = root / f'.{target.name}.old'
        os.rename(target, old)
        os.rename(temporary, target)
        shutil.rmtree(old)
    else:
        os.rename(temporary, target)
    fsync_folder(root)
    _prune(root, keep)
    return target


def recover(root: Path) -> None:
    """Clears away what a crash left: half-written checkpoints, and half-made replacements."""
    if not root.is_dir():
        return
    for path in root.glob('.*.tmp'):
        shutil.rmtree(path, ignore_errors=True)
    for path in root.glob('.*.old'):
        target = root / path.name[1 : -len('.old')]
        if target.exists():
            shutil.rmtree(path, ignore_errors=True)
        else:
            os.rename(path, target)


def available(root: Path) -> list[Path]:
    """The checkpoints' folders, oldest first; not verified."""
    if not root.is_dir():
        return []
    return sorted(path for path in root.iterdir() if path.is_dir() and path.name.isdigit())


def load(path: Path) -> Checkpoint:
    """Reads and verifies a checkpoint.

    Raises:
        DamagedCheckpointError: it is incomplete or not as its manifest says.
    """
    try:
        manifest = json.loads((path / MANIFEST).read_text())
        files = dict(manifest['files'])
        frames, version = int(manifest['frames']), int(manifest['format'])
    except FileNotFoundError:
        raise DamagedCheckpointError(f'{path} has no {MANIFEST}') from None
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise DamagedCheckpointError(f'{path / MANIFEST} cannot be read ({error})') from error
    if version != FORMAT:
        raise DamagedCheckpointError(f'{path} has format {version}, this version reads {FORMAT}')
    for name in (ARRAYS, 'state.json', 'config.yaml'):
        if name not in files:
            raise DamagedCheckpointError(f'{path} has no {name}')
    for name, expected in files.items():
        file = path / name
        if not file.is_file():
            raise DamagedCheckpointError(f'{file} is missing')
        if file.stat().st_size != expected['bytes']:
            raise DamagedCheckpointError(
                f'{file} has {file.stat().st_size} bytes instead of {expected["bytes"]}'
            )
        if sha256(file) != expected['sha256']:
            raise DamagedCheckpointError(f'{file} is not what was written (SHA-256 differs)')
    return Checkpoint(path, frames, json.loads((path / 'state.json').read_text()))


def load_newest(
    root: Path, say: Callable[[str], Any] = print, *, set_aside: bool = False
) -> Checkpoint | None:
    """The newest undamaged checkpoint, or None when there is none at all.

    Args:
        root: the folder `checkpoints` of a logdir.
        say: told one line about each damaged one on the way.
        set_aside: rename damaged ones to `STEP.damaged` once a good one is found, and clear away
            what a crash left. Only for the run that owns the logdir.

    Raises:
        UsageError: there are checkpoints, but all of them are damaged.
    """
    if set_aside:
        recover(root)
    damaged = []
    paths = available(root)
    for path in reversed(paths):
        try:
            checkpoint = load(path)
        except DamagedCheckpointError as error:
            say(f'Damaged checkpoint: {error}; trying the one before it.')
            damaged.append(path)
            continue
        for bad in damaged if set_aside else []:
            shutil.rmtree(bad.with_suffix('.damaged'), ignore_errors=True)
            os.rename(bad, bad.with_suffix('.damaged'))
        return checkpoint
    if paths:
        raise UsageError(
            f'{root} holds {len(paths)} checkpoint(s), all of them damaged: restore one from a '
            'copy, or start again in another --logdir.'
        )
    return None


def find(logdir: Path, frames: int | None = None, say: Callable[[str], Any] = print) -> Checkpoint:
    """A logdir's checkpoint at `frames`, or its newest.

    Raises:
        UsageError: the logdir is none, holds no checkpoint, not that one, or a damaged one.
    """
    if not logdir.exists():
        raise UsageError(f'{logdir} does not exist: expected the logdir of a training run.')
    if not logdir.is_dir():
        raise UsageError(f'{logdir} is a file: expected the logdir of a training run.')
    root = logdir / 'checkpoints'
    paths = available(root)
    if not paths:
        raise UsageError(
            f'{logdir} holds no checkpoint (no {root.name}/STEP in it): expected the logdir of a '
            'training run that has saved.'
        )
    if frames is None:
        newest = load_newest(root, say)
        assert newest is not None
        return newest
    path = root / folder_name(frames)
    if path not in paths:
        steps = ', '.join(str(int(entry.name)) for entry in paths)
        raise UsageError(f'{logdir} has no checkpoint at step {frames}: there are {steps}.')
    try:
        return load(path)
    except DamagedCheckpointError as error:
        raise UsageError(f'Damaged checkpoint: {error}; choose another step.') from error


def _same(path: Path, state: Mapping[str, Any]) -> bool:
    try:
        return load(path).state == json.loads(to_json(dict(state)))
    except DamagedCheckpointError:
        return False


def _prune(root: Path, keep: int) -> None:
    paths = available(root)
    for path in paths[: len(paths) - keep] if keep else []:
        if not (path / 'keep').exists():
            # Renamed first: a crash while deleting leaves no half checkpoint behind.
            dying = root / f'.{path.name}.tmp'
            os.rename(path, dying)
            shutil.rmtree(dying, ignore_errors=True)
