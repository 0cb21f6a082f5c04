"""Checks of a run's logdir. They only read, so that they can check a run in progress."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import time
from pathlib import Path

from dreamerv2.config import Config
from dreamerv2.doctor import episodes, metrics
from dreamerv2.doctor.rows import Check, Row, at_least, failed, leftovers, ok, warning, words_of
from dreamerv2.errors import UsageError
from dreamerv2.paths import expand_home
from dreamerv2.run import checkpoint
from dreamerv2.run.checkpoint import Checkpoint
from dreamerv2.run.logdir import lock, resume_policy
from dreamerv2.run.logdir.folder import finished

_PARTS = ('config.yaml', 'checkpoints', 'train_episodes', 'metrics.jsonl', 'provenance.json')
_ROOM = 1e9


def find(path: Path) -> Path:
    """The folder of a run; raises UsageError where it does not exist, is a file, or has no run."""
    path = expand_home(path)
    try:
        if not path.is_dir():
            what = 'is a file' if path.exists() else 'does not exist'
            raise UsageError(f'{path} {what}: expected the logdir of a training run.')
        if any((path / part).exists() for part in _PARTS):
            return path
        files = [x for depth in (1, 2, 3) for x in sorted(path.glob('*/' * depth + 'config.yaml'))]
    except OSError as error:
        raise UsageError(f'{path} cannot be read: {error.strerror}.') from error
    runs = [file.parent for file in files if file.parent.parent.name != 'checkpoints']
    hint = f'; {runs[0]} holds one' if runs else ''
    raise UsageError(f'{path} holds no run (no {", no ".join(_PARTS)}){hint}.')


@dataclasses.dataclass
class Findings:
    """Results of earlier checks that later ones need."""

    alive: bool = False  # a process holds the logdir
    config: Config | None = None  # if it can be read
    newest: Checkpoint | None = None  # the newest that is intact


def checks(path: Path) -> list[Check]:
    """The checks of a logdir, in the order of the table."""
    found = Findings()
    # Checkpoints before episodes: what a checkpoint counts was on disk before it.
    return [
        ('lock', lambda: check_lock(path, found)),
        ('config', lambda: check_config(path, found)),
        ('checkpoints', lambda: check_checkpoints(path, found)),
        ('progress', lambda: check_progress(path, found)),
        ('episodes', lambda: episodes.check(path, found.newest, found.alive, found.config)),
        ('metrics', lambda: metrics.check(path, found.newest, found.alive)),
        ('world model', lambda: metrics.check_world_model(path)),
        ('provenance', lambda: check_provenance(path, found)),
        ('space', lambda: check_space(path, found)),
    ]


def check_lock(path: Path, found: Findings) -> Row:
    """Who uses the logdir."""
    file = path / 'lock'
    try:
        content = json.loads(file.read_text())
        age = time.time() - file.stat().st_mtime
    except FileNotFoundError:
        return ok('lock', 'no run is using this logdir')
    except ValueError:
        content, age = {}, time.time() - file.stat().st_mtime
    if not isinstance(content, dict) or 'host' not in content:
        seen = f'{file} does not say who is using this logdir ({age:.0f} s old)'
        return warning('lock', seen, f'make sure that no run is using {path}, then delete {file}')
    who = f'process {content.get("pid")} on {content["host"]}'
    if lock.abandoned(file, content):
        hint = 'nothing to do: the next run takes it over and resumes from the newest checkpoint'
        return warning('lock', f'{who} is gone or silent, last refreshed {age:.0f} s ago', hint)
    found.alive = True
    return ok('lock', f'in use by {who}, refreshed {age:.0f} s ago')


def check_config(path: Path, found: Findings) -> Row:
    """Whether the configuration can be read."""
    file = path / 'config.yaml'
    hint = (
        f'copy config.yaml of the newest checkpoint, from {path / "checkpoints"}, to {file}, or '
        'start the run again with its command, which writes it'
    )
    if not file.exists():
        return failed('config', f'{file} is missing', hint)
    try:
        found.config = Config.load(file)
    except UsageError as error:
        return failed('config', str(error), hint)
    return ok('config', f'{file.name}: task {found.config.task}, seed {found.config.seed}')


def check_checkpoints(path: Path, found: Findings) -> list[Row]:
    """Size and SHA-256 of every file of every checkpoint, and what crashes left."""
    root = path / 'checkpoints'
    loaded = {folder: _load(folder) for folder in checkpoint.available(root)}
    intact = [saved for saved, _ in loaded.values() if saved is not None]
    bad = {folder: words for folder, (saved, words) in loaded.items() if words}
    rows = [failed('checkpoints', words, _hint(folder, intact)) for folder, words in bad.items()]
    if intact:
        found.newest = intact[-1]
        steps = ', '.join(str(saved.frames) for saved in intact)
        total = sum(_size(saved.path) for saved in intact)
        rows.append(ok('checkpoints', f'verified: {steps} frames, {total / 1e6:.1f} MB together'))
    elif not loaded:
        rows.append(ok('checkpoints', 'none yet'))
    names = sorted(path.name for path in root.glob('.*') if path.suffix in ('.tmp', '.old'))
    rows += leftovers('checkpoints', root, names, found.alive)
    if names := sorted(path.name for path in root.glob('*.damaged')):
        seen = f'set aside as damaged earlier: {", ".join(names)} in {root}'
        hint = 'check the disk it was written to; then delete it'
        rows.append(warning('checkpoints', seen, hint))
    if found.newest and found.config:
        rows += _check_saved_config(found.newest, found.config)
    return rows


def _load(folder: Path) -> tuple[Checkpoint | None, str]:
    """A checkpoint, or what is wrong with it; neither where a running process has deleted it.

    Tried twice, since a run may be replacing it.
    """
    problem = ''
    for _ in range(2):
        try:
            return checkpoint.load(folder), ''
        except checkpoint.DamagedCheckpointError as error:
            problem = str(error)
        except Exception as error:
            problem = f'{folder} cannot be read ({words_of(error)})'
        if not folder.is_dir():
            return None, ''
    return None, problem


def _hint(bad: Path, intact: list[Checkpoint]) -> str:
    if not intact:
        return f'restore {bad} from a copy, or start again in another logdir'
    if intact[-1].path.name > bad.name:
        return f'nothing is lost, there is a newer one: delete {bad}, or restore it from a copy'
    step = intact[-1].frames
    return f'a resumed run takes that of {step} frames; or restore {bad} from a copy'


def _check_saved_config(newest: Checkpoint, config: Config) -> list[Row]:
    try:
        saved = Config.load(newest.config_path)
    except UsageError as error:
        hint = 'it was written by another version: use that, or start in another logdir'
        return [failed('checkpoints', str(error), hint)]
    different = [change for change in resume_policy.changes(saved, config) if not change.free]
    if not different:
        return []
    shown = ', '.join(map(str, different[:3]))
    more = f' and {len(different) - 3} more' if len(different) > 3 else ''
    seen = f'config.yaml differs from that of {newest.path} (there -> here): {shown}{more}'
    hint = f'unless that was intended, copy {newest.config_path} over it'
    return [warning('checkpoints', seen, hint)]


def check_progress(path: Path, found: Findings) -> Row:
    """How far the run is, and whether checkpoint, configuration and `done.json` agree."""
    newest, config = found.newest, found.config
    file = path / 'done.json'
    done = finished(path)
    if file.exists() and done is None:
        hint = f'delete {file}: the same command then finishes the run again'
        return failed('progress', f'{file} cannot be read', hint)
    again = 'start the run again with the same command; it resumes from its newest checkpoint'
    if newest is None:
        if done:
            seen = f'finished at {done["step"]} frames, but without a intact checkpoint'
            return failed('progress', seen, 'restore the checkpoint from a copy')
        return ok('progress', 'no checkpoint yet: the run starts from its stored episodes')
    step = int(newest.state['progress']['step'])
    if done:
        seen = f'finished at {done["step"]} frames'
        if found.alive:
            return ok('progress', f'has just {seen}')
        if int(done['step']) != newest.frames:
            seen += f', the newest checkpoint has {newest.frames}'
            return failed('progress', seen, f'delete {file}, then {again}')
        return ok('progress', seen)
    if config is None:
        return ok('progress', f'the newest checkpoint has {newest.frames} frames')
    seen = f'{newest.frames} of {config.steps * config.action_repeat} frames'
    if newest.frames != step * config.action_repeat:
        seen += f', but {step} agent steps of {config.action_repeat} frames'
        return failed('progress', seen, 'restore config.yaml: its action_repeat differs')
    return ok('progress', f'{seen}; {"running" if found.alive else again}')


def check_provenance(path: Path, found: Findings) -> Row:
    """Whether the record of what made the run can be read."""
    file = path / 'provenance.json'
    hint = 'a resumed run writes a new one; the checkpoints hold copies'
    try:
        content = json.loads(file.read_text())
        resumes = content.get('resumes') or []
        version, revision = content['version'], str(content['revision'])[:12]
        seen = f'version {version}, revision {revision}, started {content["started"]}'
        packages = content['packages']
        seen += f', TensorFlow {packages.get("tensorflow")}, {len(resumes)} resume(s)'
    except FileNotFoundError:
        if found.newest is None:
            return ok('provenance', 'none yet: it is written when training starts')
        return failed('provenance', f'{file} is missing', hint)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return failed('provenance', f'{file} cannot be read: {words_of(error)}', hint)
    return ok('provenance', seen)


def check_space(path: Path, found: Findings) -> Row:
    """Free space and permission for what a run still writes."""
    free = shutil.disk_usage(path).free
    seen = f'{free / 1e9:.1f} GB free at {path}'
    if finished(path):
        return ok('space', f'{seen}; the run is finished')
    if not os.access(path, os.W_OK | os.X_OK):
        hint = 'give the user who resumes it write permission: chown or chmod'
        return warning('space', f'{path} cannot be written to by this user', hint)
    size = _size(found.newest.path) if found.newest else 0
    hint = f'make room: a checkpoint takes {size / 1e6:.0f} MB, and there are three at times'
    return at_least('space', free, 10 * size + _ROOM, 2 * size, seen, hint)


def _size(folder: Path) -> int:
    try:
        return sum(file.stat().st_size for file in folder.iterdir())
    except OSError:  # A running process has just deleted it.
        return 0
