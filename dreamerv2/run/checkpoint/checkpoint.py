"""Checkpoints: one folder each, whole or not there, checked when read.

    checkpoints/0000040000/
        agent.safetensors   the agent's arrays by name
        batch.npz           the next batch, drawn already (once training has begun)
        unfinished.npz      the episodes that are going on, and the policy's state
        state.json          counters, random-number states, environments, replay
        config.yaml         the run's configuration
        provenance.json     what made it
        manifest.json       size and SHA-256 of each file above, and a score; written last

The folder's name is the number of frames. It is written under a temporary name and renamed when
it is complete; only then is the oldest one deleted. The one with the highest score is not deleted,
nor is one with a file named `keep` in its folder.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np

from dreamerv2.durable import explained, make_folder, read_json, to_json, write_durably
from dreamerv2.errors import UsageError
from dreamerv2.run.checkpoint import store, tensors
from dreamerv2.run.checkpoint.store import DamagedCheckpointError, available

MANIFEST = store.MANIFEST
ARRAYS = 'agent.safetensors'
STATE = 'state.json'
CONFIG = 'config.yaml'
BATCH = 'batch.npz'
UNFINISHED = 'unfinished.npz'

__all__ = [
    'Checkpoint',
    'DamagedCheckpointError',
    'available',
    'find',
    'load',
    'load_best',
    'load_newest',
    'record_score',
    'save',
    'tidy',
]


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """A verified checkpoint.

    Attributes:
        path: its folder.
        frames: the step it was written at, in frames.
        state: the documents of `state.json`.
        files: the names of its files.
        score: of the evaluation of its agent; None if there was none.
    """

    path: Path
    frames: int
    state: dict[str, Any]
    files: frozenset[str]
    score: store.Score | None = None

    def arrays(self) -> dict[str, np.ndarray]:
        """The agent's arrays by name."""
        return tensors.read(self.path / ARRAYS)

    def file(self, name: str) -> bytes | None:
        """Content of one of the files that not every checkpoint has, or None."""
        return (self.path / name).read_bytes() if name in self.files else None

    @property
    def config_path(self) -> Path:
        """The configuration's file."""
        return self.path / CONFIG


def save(
    root: Path,
    frames: int,
    *,
    arrays: Mapping[str, np.ndarray],
    state: Mapping[str, Any],
    files: Mapping[str, bytes],
    keep: int = 2,
    score: store.Score | None = None,
) -> Path:
    """Writes a checkpoint, then deletes those older than the newest `keep`, but for the best.

    Args:
        root: the folder `checkpoints` of a logdir.
        frames: the step, in frames.
        arrays: the agent's arrays by name.
        state: what `state.json` holds; plain values.
        files: further files by name.
        keep: how many checkpoints stay; 0 keeps all.
        score: of an evaluation of this agent, the higher the better, by the first number that
            differs; None, or what is not finite, if there was none.

    Returns:
        The checkpoint's folder. An undamaged checkpoint with the same state is left as it is.

    Raises:
        StorageError: it cannot be written, DiskFullError for want of room. Nothing of it stays and
            the others are as they were; should only deleting an old one have failed, it is there.
    """
    target = root / store.folder_name(frames)
    contents: dict[str, Iterable[Any]] = {
        ARRAYS: tensors.chunks(arrays),
        STATE: [to_json(dict(state))],
        **{name: [data] for name, data in files.items()},
    }
    needed = tensors.size_of(arrays) + sum(map(len, files.values())) + 4096
    if not store.is_score(score):
        score = None
    with explained(target, needed):
        make_folder(root)
        store.recover(root)
        if target.exists() and _same(target, state):
            if score is not None:
                record_score(root, frames, score)
            return target
        temporary = root / f'.{target.name}.tmp'
        try:
            store.write(temporary, frames, contents, score)
            store.put(temporary, target)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        store.prune(root, keep, target)
    return target


def record_score(root: Path, frames: int, score: store.Score) -> None:
    """Notes the score of the evaluation of a checkpoint's agent that was made after saving it.

    Not while a checkpoint is being saved. Raises DamagedCheckpointError, or StorageError.
    """
    path = root / store.folder_name(frames)
    if store.is_score(score):
        noted = dataclasses.replace(store.read_manifest(path), score=score)
        write_durably(path / MANIFEST, noted.to_bytes())


def load(path: Path) -> Checkpoint:
    """Reads and verifies a checkpoint.

    Raises:
        DamagedCheckpointError: it is incomplete or not as its manifest says.
    """
    manifest = store.read_manifest(path)
    for name in (ARRAYS, STATE, CONFIG):
        if name not in manifest.files:
            raise DamagedCheckpointError(f'{path} has no {name}')
    store.verify(path, manifest)
    try:
        name = ARRAYS
        tensors.check(path / name)
        name = STATE
        state = read_json((path / name).read_bytes())
    except (ValueError, OSError) as error:
        raise DamagedCheckpointError(f'{path / name} cannot be read ({error})') from error
    return Checkpoint(path, manifest.frames, state, frozenset(manifest.files), manifest.score)


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
        store.recover(root)
    paths = available(root)
    for path in reversed(paths):
        try:
            checkpoint = load(path)
        except DamagedCheckpointError as error:
            say(f'Damaged checkpoint: {error}; trying the one before it.')
            continue
        if set_aside:
            tidy(root, checkpoint)
        return checkpoint
    if paths:
        raise UsageError(
            f'{root} holds {len(paths)} checkpoint(s), all of them damaged: restore one from a '
            'copy, or start again in another --logdir.'
        )
    return None


def tidy(root: Path, newest: Checkpoint | None) -> None:
    """Clears away what a crash left, and renames the damaged ones to `STEP.damaged`.

    Only for the run that owns the logdir.

    Args:
        root: the folder `checkpoints` of a logdir.
        newest: what `load_newest` found: the ones after it are damaged.
    """
    store.recover(root)
    for bad in available(root):
        if newest is not None and bad.name > newest.path.name:
            shutil.rmtree(bad.with_suffix('.damaged'), ignore_errors=True)
            os.rename(bad, bad.with_suffix('.damaged'))


def load_best(root: Path, say: Callable[[str], Any] = print) -> Checkpoint | None:
    """The undamaged checkpoint with the highest score, or None; each damaged one is said."""
    for path in store.by_score(root):
        try:
            return load(path)
        except DamagedCheckpointError as error:
            say(f'Damaged checkpoint: {error}; trying the next best.')
    return None


def find(
    logdir: Path,
    frames: int | Literal['best'] | None = None,
    say: Callable[[str], Any] = print,
) -> Checkpoint:
    """A logdir's checkpoint at `frames`, the one with the best evaluation, or its newest.

    Raises:
        UsageError: the logdir is none, holds no checkpoint, not that one, or a damaged one.
    """
    if meant := store.enclosing(logdir):
        place, step = meant
        which = '' if step is None else f', and its step {step}'
        raise UsageError(f'{logdir} is inside a logdir: give the logdir {place}{which}.')
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
    if frames == 'best':
        best = load_best(root, say)
        if best is None:
            raise UsageError(
                f'{logdir} has no undamaged checkpoint with an evaluation: choose one by its step, '
                f'or the newest.'
            )
        return best
    path = root / store.folder_name(frames)
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
