"""Checkpoints: one folder each, written atomically, verified when read.

    checkpoints/0000040000/
        agent.safetensors   the agent's arrays by name
        batch.npz           the next batch, already drawn (once training has started)
        unfinished.npz      the unfinished episodes, and the policy's state
        state.json          counters, random-number states, environments, replay
        config.yaml         the run's configuration
        provenance.json     what made it
        manifest.json       size and SHA-256 of each file above, and a score; written last

The folder's name is the number of frames. It is written under a temporary name and renamed when
it is complete; only then is the oldest one deleted. The one with the highest score is never
deleted, nor one with a file named `keep` in it.
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
        score: of the evaluation of its agent; None without one.
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
        """Content of an optional file, or None."""
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
    """Writes a checkpoint, then deletes all but the newest `keep` and the best.

    Args:
        root: the folder `checkpoints` of a logdir.
        frames: the step, in frames.
        arrays: the agent's arrays by name.
        state: what `state.json` holds; plain values.
        files: further files by name.
        keep: how many checkpoints stay; 0 keeps all.
        score: of an evaluation of this agent, higher is better, compared lexicographically; None or
        not finite without one.

    Returns:
        The checkpoint's folder. An intact checkpoint with the same state is kept.

    Raises:
        StorageError: it cannot be written; DiskFullError where the disk is full. Nothing of it is
        left and the others are unchanged; if only deleting an old one failed, it is complete.
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
    """Records the score of an evaluation made after the checkpoint was saved.

    Not to be called while one is being saved. Raises DamagedCheckpointError, or StorageError.
    """
    path = root / store.folder_name(frames)
    if store.is_score(score):
        noted = dataclasses.replace(store.read_manifest(path), score=score)
        write_durably(path / MANIFEST, noted.to_bytes())


def load(path: Path) -> Checkpoint:
    """Reads and verifies a checkpoint.

    Raises:
        DamagedCheckpointError: it is incomplete or does not match its manifest.
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
    """The newest intact checkpoint, or None when there is none at all.

    Args:
        root: the folder `checkpoints` of a logdir.
        say: prints one line about each damaged one found.
        set_aside: rename damaged ones to `STEP.damaged` once an intact one is found, and remove
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
    """Removes what a crash left, and renames damaged ones to `STEP.damaged`.

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
    """The intact checkpoint with the highest score, or None; `say` prints each damaged one."""
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
        UsageError: not a logdir, no checkpoint in it, not that one, or it is damaged.
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
                f'{logdir} has no intact checkpoint with an evaluation: choose one by its step,  '
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
