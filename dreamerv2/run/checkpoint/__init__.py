"""Checkpoints: one folder each, written atomically, verified when read.

    checkpoints/0000040000/
        agent.safetensors   the agent's arrays by name
        batch.npz           the next batch, already drawn (once training has started)
        unfinished.npz      the unfinished episodes, and the policy's state
        state.json          counters, random-number states, environments, replay
        config.yaml         the run's configuration
        provenance.json     what made it
        manifest.json       step, score, size and SHA-256 of each file above; written last

The folder's name is the number of frames. It is written under a temporary name and renamed when
it is complete; only then is the oldest one deleted. The one with the highest score is never
deleted, nor one with a file named `keep` in it. The manifest's last entry is its own SHA-256;
format 1 had neither a score nor that.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import os
import shutil
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np

from dreamerv2 import durable
from dreamerv2.durable import explained, fsync_folder, make_folder, to_json, write_new
from dreamerv2.errors import UsageError
from dreamerv2.run.checkpoint import tensors
from dreamerv2.run.types import Say

MANIFEST = 'manifest.json'
ARRAYS = 'agent.safetensors'
STATE = 'state.json'
CONFIG = 'config.yaml'
BATCH = 'batch.npz'
UNFINISHED = 'unfinished.npz'
FORMAT = 2
DIGITS = 10
PARAMETERS = 'parameters/'  # begins the names of weights among the arrays

# How good an agent's evaluation was, higher is better: a number, or several that are compared
# lexicographically.
Score = float | tuple[float, ...]


class DamagedCheckpointError(Exception):
    """A checkpoint that is incomplete or does not match its manifest."""


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
    score: Score | None = None

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


@dataclasses.dataclass(frozen=True)
class Manifest:
    """The content of a manifest: `files` has by name `{'bytes': size, 'sha256': digest}`."""

    frames: int
    files: Mapping[str, Mapping[str, Any]]
    score: Score | None = None

    def to_bytes(self) -> bytes:
        """The manifest's text."""
        return durable.seal({'format': FORMAT, **dataclasses.asdict(self)})


# Writing


def save(
    root: Path,
    frames: int,
    *,
    arrays: Mapping[str, np.ndarray],
    state: Mapping[str, Any],
    files: Mapping[str, bytes],
    keep: int = 2,
    score: Score | None = None,
) -> Path:
    """Writes a checkpoint, then deletes all but the newest `keep` and the best.

    Args:
        root: the folder `checkpoints` of a logdir.
        frames: the step, in frames.
        arrays: the agent's arrays by name.
        state: what `state.json` holds; plain values.
        files: further files by name.
        keep: how many checkpoints stay; 0 keeps all.
        score: of an evaluation of this agent; None or not finite without one.

    Returns:
        The checkpoint's folder. An intact checkpoint with the same state is kept.

    Raises:
        StorageError: it cannot be written; DiskFullError where the disk is full. Nothing of it is
        left and the others are unchanged; if only deleting an old one failed, it is complete.
    """
    target = root / folder_name(frames)
    contents: dict[str, Any] = {ARRAYS: tensors.chunks(arrays), STATE: [to_json(dict(state))]}
    contents |= {name: [data] for name, data in files.items()}
    needed = tensors.size_of(arrays) + sum(map(len, files.values())) + 4096
    score = score if _is_score(score) else None
    with explained(target, needed):
        make_folder(root)
        recover(root)
        if target.exists() and _same(target, state):
            if score is not None:
                record_score(root, frames, score)
            return target
        temporary = root / f'.{target.name}.tmp'
        try:
            _write(temporary, frames, contents, score)
            _put(temporary, target)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        spared = [target, *by_score(root)[:1]]
        for path in available(root)[:-keep] if keep else []:
            if path not in spared and not (path / 'keep').exists():
                # Renamed first, so that a crash while deleting leaves no partial checkpoint.
                dying = root / f'.{path.name}.tmp'
                os.rename(path, dying)
                shutil.rmtree(dying, ignore_errors=True)
    return target


def save_weights(saved: Checkpoint, root: Path, files: Mapping[str, bytes]) -> Path:
    """Writes what agents start from and act with: a checkpoint's weights, without a run's state.

    Args:
        saved: the checkpoint.
        root: another folder `checkpoints`.
        files: its further files by name, `config.yaml` among them.

    Returns and raises as `save` does.
    """
    arrays = {k: v for k, v in saved.arrays().items() if k.startswith(PARAMETERS)}
    return save(root, saved.frames, arrays=arrays, state={}, files=files, score=saved.score)


def _same(path: Path, state: Mapping[str, Any]) -> bool:
    try:
        return load(path).state == json.loads(to_json(dict(state)))
    except DamagedCheckpointError:
        return False


def _write(
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


def _put(temporary: Path, target: Path) -> None:
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
    shutil.rmtree(old, ignore_errors=True)


def record_score(root: Path, frames: int, score: Score) -> None:
    """Records the score of an evaluation made after the checkpoint was saved.

    Not to be called while one is being saved. Raises DamagedCheckpointError, or StorageError.
    """
    path = root / folder_name(frames)
    if _is_score(score):
        noted = dataclasses.replace(read_manifest(path), score=score)
        durable.write_durably(path / MANIFEST, noted.to_bytes())


# Reading


def load(path: Path) -> Checkpoint:
    """Reads and verifies a checkpoint.

    Raises:
        DamagedCheckpointError: it is incomplete or does not match its manifest.
    """
    manifest = read_manifest(path)
    for name in (ARRAYS, STATE, CONFIG):
        if name not in manifest.files:
            raise DamagedCheckpointError(f'{path} has no {name}')
    for name, expected in manifest.files.items():
        _verify(path / name, expected)
    try:
        name = ARRAYS
        tensors.check(path / name)
        name = STATE
        state = durable.read_json((path / name).read_bytes())
    except (ValueError, OSError) as error:
        raise DamagedCheckpointError(f'{path / name} cannot be read ({error})') from error
    return Checkpoint(path, manifest.frames, state, frozenset(manifest.files), manifest.score)


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a checkpoint's folder; its files are not checked.

    Raises:
        DamagedCheckpointError: it is missing, was changed, or is invalid.
    """
    try:
        text = (folder / MANIFEST).read_bytes()
        document = durable.read_json(text)
        if document['format'] not in (1, FORMAT):
            raise DamagedCheckpointError(
                f'{folder} has format {document["format"]}, this version reads up to {FORMAT}'
            )
        if document['format'] != 1 or durable.SEAL in document:
            document = durable.unseal(text)
        score = document.get('score')
        score = tuple(score) if isinstance(score, list) else score
        manifest = Manifest(_count(document['frames']), dict(document['files']), score)
        for name, file in manifest.files.items():
            if name in ('', '.', '..', MANIFEST) or set(name) & set('/\\\0'):
                raise ValueError(f'{name!r} is not the name of a file in it')
            _count(file['bytes'])
    except FileNotFoundError:
        raise DamagedCheckpointError(f'{folder} has no {MANIFEST}') from None
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise DamagedCheckpointError(f'{folder / MANIFEST} cannot be read ({error})') from error
    if folder.name.isdigit() and int(folder.name) != manifest.frames:
        raise DamagedCheckpointError(f'{folder} is a checkpoint of {manifest.frames} frames')
    if not _is_score(manifest.score):
        raise DamagedCheckpointError(f'{folder / MANIFEST} has a score that is not a number')
    return manifest


def _count(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f'{value!r} is not a count')
    return value


def _is_score(value: Any) -> bool:
    """Whether a value is a valid score: None, a finite number or several."""
    if value is None:
        return True
    numbers = value if isinstance(value, tuple) else (value,)
    return bool(numbers) and all(isinstance(x, (int, float)) and math.isfinite(x) for x in numbers)


def _verify(file: Path, expected: Mapping[str, Any]) -> None:
    """Raises DamagedCheckpointError where a file is missing or not as its manifest says."""
    try:
        status = file.lstat()
        # A link may point outside the folder, and a pipe or a device never ends.
        if not stat.S_ISREG(status.st_mode):
            raise DamagedCheckpointError(f'{file} is a link or not a regular file')
        if status.st_size != expected['bytes']:
            raise DamagedCheckpointError(
                f'{file} has {status.st_size} bytes instead of {expected["bytes"]}'
            )
        if durable.sha256(file) != expected['sha256']:
            raise DamagedCheckpointError(f'{file} is not what was written (SHA-256 differs)')
    except FileNotFoundError:
        raise DamagedCheckpointError(f'{file} is missing') from None
    except OSError as error:
        raise DamagedCheckpointError(f'{file} cannot be read ({error})') from error


# Finding


def folder_name(frames: int) -> str:
    """Name of the folder of a checkpoint: its frames, zero-padded."""
    return f'{frames:0{DIGITS}d}'


def available(root: Path) -> list[Path]:
    """The checkpoints' folders, oldest first; not verified."""
    folders = root.iterdir() if root.is_dir() else ()
    return sorted(path for path in folders if path.is_dir() and path.name.isdigit())


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


def load_newest(root: Path, say: Say = print) -> Checkpoint | None:
    """The newest intact checkpoint, or None when there is none at all; `say` prints damaged ones.

    Raises:
        UsageError: there are checkpoints, but all of them are damaged.
    """
    paths = available(root)
    newest = _first_intact(paths[::-1], 'the one before it', say)
    if paths and newest is None:
        raise UsageError(
            f'{root} holds {len(paths)} checkpoint(s), all of them damaged: restore one from a '
            'copy, or start again in another --logdir.'
        )
    return newest


def load_best(root: Path, say: Say = print) -> Checkpoint | None:
    """The intact checkpoint with the highest score, or None; `say` prints each damaged one."""
    return _first_intact(by_score(root), 'the next best', say)


def _first_intact(paths: Iterable[Path], other: str, say: Say) -> Checkpoint | None:
    for path in paths:
        try:
            return load(path)
        except DamagedCheckpointError as error:
            say(f'Damaged checkpoint: {error}; trying {other}.')
    return None


def find(logdir: Path, frames: int | Literal['best'] | None = None, say: Say = print) -> Checkpoint:
    """A logdir's checkpoint at `frames`, the one with the best evaluation, or its newest.

    Raises:
        UsageError: not a logdir, no checkpoint in it, not that one, or it is damaged.
    """
    if meant := enclosing(logdir):
        place, step = meant
        which = '' if step is None else f', and its step {step}'
        raise UsageError(f'{logdir} is inside a logdir: give the logdir {place}{which}.')
    if not logdir.is_dir():
        what = 'is a file' if logdir.exists() else 'does not exist'
        raise UsageError(f'{logdir} {what}: expected the logdir of a training run.')
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
        if best := load_best(root, say):
            return best
        raise UsageError(
            f'{logdir} has no intact checkpoint with an evaluation: choose one by its step, '
            'or the newest.'
        )
    path = root / folder_name(frames)
    if path not in paths:
        steps = ', '.join(str(int(entry.name)) for entry in paths)
        raise UsageError(f'{logdir} has no checkpoint at step {frames}: there are {steps}.')
    try:
        return load(path)
    except DamagedCheckpointError as error:
        raise UsageError(f'Damaged checkpoint: {error}; choose another step.') from error


# After a crash


def tidy(root: Path, newest: Checkpoint | None) -> None:
    """Removes what a crash left, and renames damaged ones to `STEP.damaged`: those after `newest`.

    Only for the run that owns the logdir; `newest` is what `load_newest` found.
    """
    recover(root)
    for bad in available(root):
        if newest is not None and bad.name > newest.path.name:
            shutil.rmtree(bad.with_suffix('.damaged'), ignore_errors=True)
            os.rename(bad, bad.with_suffix('.damaged'))


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
