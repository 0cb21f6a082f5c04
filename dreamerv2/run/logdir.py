"""The folder of a run: who may use it, with which configuration, and whether it is finished."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

from dreamerv2.config import Config
from dreamerv2.errors import UsageError
from dreamerv2.run.files import to_json, write_durably

# What may change when a run goes on: how long, how often, where and how fast, not what is learned.
CHANGEABLE = (
    'steps',
    'log_every',
    'save_every',
    'eval_every',
    'eval_eps',
    'eval_policy',
    'eval_noise',
    'eval_state_mean',
    'logdir',
    'device',
    'gpu_memory',
    'jit',
    'dry_run',
    'envs',
    'envs_parallel',
    'async_collect',
    'replay.keep_on_disk',
    'init.dry_run',
)
CHANGEABLE_GROUPS = ('log_keys_', 'sets.')


def make_logdir(path: Path) -> None:
    """Makes the folder of a run.

    Raises:
        UsageError: it is a file, lies in one, or cannot be made or written to.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe = path / '.writable'
        probe.touch()
        probe.unlink()
    except (FileExistsError, NotADirectoryError):
        raise UsageError(f'--logdir {path} is a file, or lies in one: give a folder.') from None
    except OSError as error:
        raise UsageError(f'--logdir {path} cannot be written to: {error.strerror}.') from None


def finished(path: Path) -> dict[str, Any] | None:
    """What `done.json` says, or None where the run is not finished."""
    try:
        content = json.loads((path / 'done.json').read_text())
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) and 'step' in content else None


def mark_finished(path: Path, frames: int, updates: int) -> None:
    """Writes `done.json`."""
    now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec='seconds')
    content = {'step': frames, 'updates': updates, 'finished': now}
    write_durably(path / 'done.json', to_json(content))


def changes(old: Config, new: Config) -> list[str]:
    """The keys in which two configurations differ although a run cannot go on with other ones."""
    before, after = old.flat, new.flat
    return [
        key
        for key in sorted({*before, *after})
        if before.get(key) != after.get(key)
        and key not in CHANGEABLE
        and not key.startswith(CHANGEABLE_GROUPS)
    ]


def check_same_run(path: Path, config: Config) -> None:
    """Raises UsageError where the logdir holds a run with another configuration."""
    saved = path / 'config.yaml'
    begun = any((path / 'train_episodes').glob('*.npz')) or any((path / 'checkpoints').glob('*'))
    if not saved.exists() or not begun:
        return
    old = Config.load(saved)
    different = changes(old, config)
    if different:
        key = different[0]
        more = f' ({len(different) - 1} more differ)' if len(different) > 1 else ''
        raise UsageError(
            f'{path} holds a run with {key} {old[key]!r}, but {config[key]!r} is asked for{more}: '
            'repeat its command to go on with it, or choose another --logdir.'
        )


def save_config(path: Path, config: Config) -> None:
    """Writes `config.yaml` of a run that starts or goes on; it is not finished any more."""
    config.save(path / 'config.yaml')
    (path / 'done.json').unlink(missing_ok=True)


def save_provenance(path: Path, description: dict[str, Any], frames: int) -> bytes:
    """Writes `provenance.json`, or adds to it how a run goes on; returns its content."""
    file = path / 'provenance.json'
    try:
        content = json.loads(file.read_text())
        keys = ('version', 'revision', 'command', 'started', 'packages', 'host')
        content.setdefault('resumes', []).append(
            {'step': frames, **{key: description[key] for key in keys}}
        )
    except (OSError, ValueError, AttributeError):
        content = description
    write_durably(file, to_json(content))
    return file.read_bytes()
