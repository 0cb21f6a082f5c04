"""Finds training runs under a folder and reads them into memory, whatever state they are in.

A run is a folder with `metrics.jsonl`, one JSON object a line, and `config.yaml` beside it.
Running, killed and half-written runs are read as far as they go: a line that cannot be used is
skipped and counted, a file that cannot be read becomes a note of the run.
"""

import dataclasses
import json
import os
import pathlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import ruamel.yaml

from dreamerv2.analysis.series import (
    LARGEST_STEP,
    Series,
    drop_superseded,
    finite,
    parse_lines,
    to_series,
)
from dreamerv2.errors import UsageError
from dreamerv2.paths import expand_home
from dreamerv2.studies.definition import level_sets

METRICS = 'metrics.jsonl'
CONFIG = 'config.yaml'
STUDY = 'study.json'
DONE = 'done.json'

# Folders inside a logdir that hold many files and no runs.
_INSIDE_RUN = {'train_episodes', 'eval_episodes', 'checkpoints', 'quarantine'}
_LARGEST_CONFIG = 2**16  # bytes
_MOST_KEYS = 10_000


@dataclasses.dataclass(frozen=True)
class Run:
    """One training run as its logdir shows it.

    `config` has dotted keys. `study` says which part of a study the run is (see
    `dreamerv2.analysis.study`), empty where it is none. `series` holds every metric without the
    prefill's episodes, `prefill` those alone. `budget` is the planned number of frames, None where
    the configuration does not say; `last_frame` the last one logged. `notes` are one-line
    remarks for the user on what could not be read.
    """

    path: pathlib.Path
    name: str
    config: Mapping[str, Any]
    study: Mapping[str, Any]
    task: str
    levels: tuple[str, ...]
    seed: int
    series: Mapping[str, Series]
    prefill: Mapping[str, Series]
    last_frame: int
    budget: int | None
    done: bool
    bad_lines: int
    superseded_lines: int
    notes: tuple[str, ...]

    @property
    def end(self) -> int:
        """The frame up to which the run is known: its budget once it is done, else the last one."""
        if self.done and self.budget:
            return max(self.last_frame, self.budget)
        return self.last_frame


def find_logdirs(root: str | os.PathLike) -> list[pathlib.Path]:
    """All folders at or under `root` that hold a `metrics.jsonl`, sorted by path.

    Raises UsageError where `root` is no folder.
    """
    root = expand_home(root)
    if not root.exists():
        raise UsageError(f'{root}: no such folder; give the folder that holds the logdirs')
    if not root.is_dir():
        raise UsageError(f'{root}: a file; give the folder that holds the logdirs')
    found = []
    for folder, below, files in os.walk(root):
        if METRICS in files:
            found.append(pathlib.Path(folder))
            below[:] = [name for name in below if name not in _INSIDE_RUN]
    return sorted(found)


def read_runs(root: str | os.PathLike) -> list[Run]:
    """Reads every run at or under `root`, sorted by path.

    Raises UsageError where `root` is no folder or holds no run.
    """
    root = expand_home(root)
    runs = [read_run(path, root) for path in find_logdirs(root)]
    if not runs:
        raise UsageError(
            f'{root}: no runs here; a run is a folder with {METRICS}, as --logdir of train.py names'
        )
    return runs


def read_run(path: str | os.PathLike, root: str | os.PathLike | None = None) -> Run:
    """Reads one logdir; what is missing or broken in it is noted, never raised.

    `name` of the run is its path below `root`, or its folder's name.
    """
    path = pathlib.Path(path)
    notes: list[str] = []
    config = read_config(path / CONFIG, notes)
    study = read_json(path / STUDY, notes)
    study = study['study'] if isinstance(study.get('study'), dict) else study
    rows, bad_lines = parse_lines(_read_lines(path / METRICS, notes))
    rows, superseded = drop_superseded(rows)
    series, prefill = to_series(rows)
    if bad_lines:
        notes.append(f'{bad_lines} bad line{"s" * (bad_lines > 1)} in {METRICS} skipped')
    if superseded:
        notes.append(f'{superseded} lines from before a resume replaced by those after it')
    task = str(config.get('task', 'unknown'))
    return Run(
        path=path,
        name=_name(path, root),
        config=config,
        study=study,
        task=task,
        levels=run_levels(task, study, config, [*series, *prefill]),
        seed=_whole(study.get('seed', config.get('seed')), 0),
        series=series,
        prefill=prefill,
        last_frame=max((step for step, _ in rows), default=0),
        budget=_budget(config),
        done=(path / DONE).exists(),
        bad_lines=bad_lines,
        superseded_lines=superseded,
        notes=tuple(notes),
    )


def read_config(path: pathlib.Path, notes: list[str]) -> dict[str, Any]:
    """The configuration at `path` with dotted keys; empty, with a note, where unreadable."""
    try:
        with open(path, 'rb') as file:
            content = file.read(_LARGEST_CONFIG + 1)
        if len(content) > _LARGEST_CONFIG:
            raise ValueError('too large')
        loaded = ruamel.yaml.YAML(typ='safe').load(content)
        flat = flatten(loaded) if isinstance(loaded, dict) else None
    except FileNotFoundError:
        notes.append(f'no {CONFIG}')
        return {}
    # A damaged file can fail inside the YAML reader in more ways than its own error class.
    except (OSError, ValueError, TypeError, RecursionError, ruamel.yaml.error.YAMLError):
        notes.append(f'{CONFIG} cannot be read')
        return {}
    if flat is None:
        notes.append(f'{CONFIG} is not a mapping of keys to values')
        return {}
    return flat


def flatten(nested: Mapping[Any, Any]) -> dict[str, Any]:
    """Nested mappings as one with dotted keys: `{'rssm': {'deter': 1}}` is `{'rssm.deter': 1}`.

    Raises ValueError where there are more than any configuration has, as aliases can make of a few.
    """
    flat: dict[str, Any] = {}
    for key, value in _leaves(nested, ''):
        flat[key] = value
        if len(flat) > _MOST_KEYS:
            raise ValueError('too many keys')
    return flat


def _leaves(nested: Mapping[Any, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for key, value in nested.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, f'{prefix}{key}.')
        else:
            yield f'{prefix}{key}', value


def run_levels(
    task: str,
    study: Mapping[str, Any],
    config: Mapping[str, Any],
    metrics: Iterable[str],
) -> tuple[str, ...]:
    """The level names of a run, from the first source that has them.

    In this order: its task's name (`mario_3-1+3-2`), `levels` of its place in a study, the set that
    the task names (`mario_e4`) in its configuration or in `configs.yaml`, its per-level metrics
    (`train_return/3-1`), and the task's name without the suite.
    """
    name = task.split('_', 1)[-1]
    if '+' in name:
        return tuple(name.split('+'))
    named = (config.get(f'sets.{key}') for key in (task, name))
    for listed in (study.get('levels'), *named):
        if isinstance(listed, list) and listed:
            return tuple(str(level) for level in listed)
    if name in (known := level_sets()):
        return known[name]
    logged = {key.split('/', 1)[1] for key in metrics if key.startswith('train_return/')}
    if len(logged) > 1:
        return tuple(sorted(logged))
    return (str(study.get('level') or name),)


def _budget(config: Mapping[str, Any]) -> int | None:
    """Planned frames: `steps` counts agent steps, each of `action_repeat` frames."""
    steps = _setting(config.get('steps'))
    if steps is None or steps <= 0 or steps > LARGEST_STEP:
        return None
    return int(steps) * max(1, _whole(config.get('action_repeat'), 1))


def _name(path: pathlib.Path, root: str | os.PathLike | None) -> str:
    if root is not None:
        relative = os.path.relpath(path, root)
        if relative != '.':
            return relative
    return path.resolve().name


def _read_lines(path: pathlib.Path, notes: list[str]) -> list[bytes]:
    try:
        return path.read_bytes().split(b'\n')
    except OSError as error:
        notes.append(f'{path.name} cannot be read: {error.strerror}')
        return []


def read_json(path: pathlib.Path, notes: list[str]) -> dict[str, Any]:
    """The JSON object at `path`; empty where there is none, and with a note where it is broken."""
    try:
        loaded = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError):
        loaded = None
    if not isinstance(loaded, dict):
        notes.append(f'{path.name} cannot be read')
        return {}
    return loaded


def _setting(value: Any) -> float | None:
    """A number of the configuration, where YAML may also give one such as `1e7` as text."""
    try:
        return finite(float(value) if isinstance(value, str) else value)
    except ValueError:
        return None


def _whole(value: Any, default: int) -> int:
    number = _setting(value)
    return default if number is None else int(number)
