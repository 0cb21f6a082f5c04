"""The folder of a run: making it, the configuration of a resume, whether it is finished."""

from __future__ import annotations

import contextlib
import datetime
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dreamerv2.config import Config
from dreamerv2.durable import to_json, write_durably
from dreamerv2.errors import UsageError
from dreamerv2.run.logdir import resume_policy

PROVENANCE = 'provenance.json'
CHANGED = 'changed'  # In the provenance: settings that a resume changed.


@contextlib.contextmanager
def opened(path: Path) -> Iterator[None]:
    """Makes the folder of a run; on leaving removes new folders that stayed empty.

    Raises:
        UsageError: it is a file, lies in one, or cannot be made or written to.
    """
    made = []
    with contextlib.suppress(OSError):  # Impossible paths are refused below.
        made = [folder for folder in (path, *path.parents) if not folder.exists()]
    try:
        try:
            path.mkdir(parents=True, exist_ok=True)
            probe = path / '.writable'
            probe.touch()
            probe.unlink()
        except (FileExistsError, NotADirectoryError):
            raise UsageError(f'--logdir {path} is a file, or lies in one: give a folder.') from None
        except OSError as error:
            raise UsageError(f'--logdir {path} cannot be written to: {error.strerror}.') from None
        yield
    finally:
        for folder in made:
            with contextlib.suppress(OSError):
                folder.rmdir()


def finished(path: Path) -> dict[str, Any] | None:
    """What `done.json` says, or None where the run is not finished."""
    content = _read(path / 'done.json')
    return content if content and isinstance(content.get('step'), int) else None


def mark_finished(path: Path, frames: int, updates: int) -> None:
    """Writes `done.json`."""
    now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec='seconds')
    content = {'step': frames, 'updates': updates, 'finished': now}
    write_durably(path / 'done.json', to_json(content))


def check_same_run(path: Path, config: Config) -> list[str]:
    """What to report about accepted changes to the run in a logdir: one line, or none.

    Raises:
        UsageError: the logdir holds a run with settings that cannot change, or whose change
            `accept_changes` does not accept. What differs is on standard error, a line per key.
    """
    found = _changes(path, config)
    if any(c.reason or (c.acceptable and not config.accept_changes) for c in found):
        print(*resume_policy.as_lines(found), sep='\n', file=sys.stderr, flush=True)
        raise UsageError(resume_policy.refusal(str(path), found, config))
    return [resume_policy.note(found)] if found else []


def _changes(path: Path, config: Config) -> list[resume_policy.Change]:
    """How a run differs from the one already in the logdir, if there is one."""
    saved = path / 'config.yaml'
    learned = any((path / 'checkpoints').glob('*'))
    started = learned or any((path / 'train_episodes').glob('*.npz'))
    if not saved.exists() or not started:
        return []
    return resume_policy.changes(Config.load(saved), config, learned=learned)


def save_config(path: Path, config: Config) -> None:
    """Writes `config.yaml` of a run that starts or resumes, and removes `done.json`.

    What changed is noted in `provenance.json` first, for `save_provenance`.
    """
    found = {change.key: (change.old, change.new) for change in _changes(path, config)}
    provenance = _read_provenance(path)
    if found and provenance is not None:
        earlier = provenance.get(CHANGED, {})  # of a start that ended before it resumed
        provenance[CHANGED] = earlier | {
            key: [earlier.get(key, [old])[0], new] for key, (old, new) in found.items()
        }
        write_durably(path / PROVENANCE, to_json(provenance))
    config.save(path / 'config.yaml')
    (path / 'done.json').unlink(missing_ok=True)


def save_provenance(path: Path, description: dict[str, Any], frames: int) -> bytes:
    """Writes `provenance.json`, or adds to it how a run is resumed; returns its content."""
    content = _read_provenance(path)
    if content is None:
        content = description
    else:
        keys = ('version', 'revision', 'command', 'started', 'packages', 'host')
        resume = {'step': frames, **{key: description[key] for key in keys}}
        if CHANGED in content:
            resume[CHANGED] = content.pop(CHANGED)
        content.setdefault('resumes', []).append(resume)
    data = to_json(content)
    write_durably(path / PROVENANCE, data)
    return data


def _read_provenance(path: Path) -> dict[str, Any] | None:
    """The content of `provenance.json`, or None where it cannot be used."""
    content = _read(path / PROVENANCE)
    if content is None or not isinstance(content.get('resumes', []), list):
        return None
    return content if isinstance(content.get(CHANGED, {}), dict) else None


def _read(path: Path) -> dict[str, Any] | None:
    """A JSON object, or None where it cannot be read."""
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None
