"""One tidy table of episodes and metrics: a row per training run, a column per metric.

A run is a folder with `metrics.jsonl`, one JSON object a line, and `config.yaml` beside it. It is
read once, here, whatever state it is in: a line that cannot be used is skipped and counted, a file
that cannot be read becomes a note of the run.

`evaluations.jsonl` has a row per evaluation of one checkpoint on one level, with one number per
episode: `{"step": frames, "level": "1-1", "returns": [...], "progress": [...], "completed": [...],
"policy": "train"}`. Those of a pre-training run on levels that it has not seen are its zero-shot
transfer.
"""

import dataclasses
import itertools
import json
import math
import os
import pathlib
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import ruamel.yaml

from dreamerv2.analysis import curves
from dreamerv2.errors import UsageError
from dreamerv2.paths import expand_home
from dreamerv2.studies.definition import level_sets

METRICS = 'metrics.jsonl'
CONFIG = 'config.yaml'
STUDY = 'study.json'

# What a line tells of a training episode, rather than of an update.
_OF_EPISODE = re.compile('(sum_|mean_|max_)?train_')
# Columns of an evaluation, by the metrics of training that they stand beside.
_EVALUATED = {
    'train_return': 'returns',
    'train_progress': 'progress',
    'train_completed': 'completed',
}
# Policies of evaluations that may stand beside training returns, the best with the highest number:
# the one that plays in training, and its draws without exploration noise.
_PREFERENCE = {'train': 2, 'sample': 1}
# Folders inside a logdir that hold many files and no runs.
_INSIDE_RUN = {'train_episodes', 'eval_episodes', 'checkpoints', 'quarantine'}
_LARGEST_STEP = 2**53
_LARGEST_CONFIG = 2**16  # bytes
_MOST_KEYS = 10_000

Rows = list[tuple[int, dict[str, float]]]  # (step, finite numbers by name)


@dataclasses.dataclass(frozen=True)
class Series:
    """One metric of one run: `steps` int64 `[n]` in frames, ascending; `values` float64 `[n]`.

    `end` is the frame up to which the run is known.
    """

    steps: np.ndarray
    values: np.ndarray
    end: int

    def __len__(self) -> int:
        return len(self.steps)

    def on_grid(self, grid: np.ndarray, window: int = 1) -> np.ndarray:
        """Its curve at frames `[B]`, see `curves.on_grid`."""
        return curves.on_grid(self.steps, self.values, grid, end=self.end, window=window)


@dataclasses.dataclass(frozen=True)
class Run:
    """One training run, a row of the table.

    `name` is its path below the root, `config` has dotted keys, and `study` says which part of a
    study it is (see `dreamerv2.analysis.study`), if any. The metrics stand under their names in
    `metrics.jsonl`, with the level if they are of one (`train_return/3-1`): `series` has them
    without the prefill's episodes, `prefill` those alone, and `evaluations` the episodes of the
    last checkpoint that was evaluated on a level as it plays in training. `budget` is the planned
    number of frames, None where the configuration does not say; `end` the frame up to which the
    run is known: its budget once it is done, else the last one logged. `notes` are one-line
    remarks for the user on what could not be read.
    """

    path: pathlib.Path
    name: str
    config: Mapping[str, Any]
    study: Mapping[str, Any]
    provenance: Mapping[str, Any]
    task: str
    levels: tuple[str, ...]
    seed: int
    series: Mapping[str, Series]
    prefill: Mapping[str, Series]
    evaluations: Mapping[str, Series]
    budget: int | None
    end: int
    done: bool
    notes: tuple[str, ...]

    @property
    def started_from(self) -> tuple[str, str]:
        """Logdir and step of the checkpoint it began from; empty for a run from nothing."""
        logdir, _, step = str(self.config.get('init.from') or '').partition('@')
        return logdir, step

    def on_level(self, metric: str, level: str) -> Series | None:
        """A metric on one level; a run of that level alone may have it without the level."""
        series = self.series.get(f'{metric}/{level}')
        if series is None and len(self.levels) <= 1:
            series = self.series.get(metric)
        return series


def stack(runs: Iterable[Run], metric: str, grid: np.ndarray, window: int = 1) -> np.ndarray:
    """Curves at frames `[B]` of the runs that have the metric: float64 `[S, B]`."""
    found = [run.series[metric].on_grid(grid, window) for run in runs if metric in run.series]
    return np.array(found, np.float64).reshape(len(found), len(grid))


def find_logdirs(root: str | os.PathLike) -> list[pathlib.Path]:
    """All folders at or under `root` that hold a `metrics.jsonl`, sorted by path.

    Raises UsageError where `root` is no folder.
    """
    root = expand_home(root)
    if not root.is_dir():
        what = 'a file' if root.exists() else 'no such folder'
        raise UsageError(f'{root}: {what}; give the folder that holds the logdirs')
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
    """Reads one logdir; what is missing or broken in it is noted, never raised."""
    path = pathlib.Path(path)
    notes: list[str] = []
    config = _read_config(path / CONFIG, notes)
    study = _read_json(path / STUDY, notes)
    study = study['study'] if isinstance(study.get('study'), dict) else study
    rows, bad = parse_lines(_read_lines(path / METRICS, notes))
    rows, superseded = drop_superseded(rows)
    if bad:
        notes.append(f'{bad} bad line{"s" * (bad > 1)} in {METRICS} skipped')
    if superseded:
        notes.append(f'{superseded} lines from before a resume replaced by those after it')
    budget, done = _budget(config), (path / 'done.json').exists()
    last = max((step for step, _ in rows), default=0)
    end = max(last, budget or 0) if done else last
    series, prefill = _by_metric(rows, end)
    task = str(config.get('task', 'unknown'))
    below = os.path.relpath(path, root or path)
    return Run(
        path=path,
        name=path.resolve().name if below == '.' else below,
        config=config,
        study=study,
        provenance=_read_json(path / 'provenance.json', []),
        task=task,
        levels=run_levels(task, study, config, [*series, *prefill]),
        seed=_whole(study.get('seed', config.get('seed')), 0),
        series=series,
        prefill=prefill,
        evaluations=parse_evaluations(_read_lines(path / 'evaluations.jsonl', []), end),
        budget=budget,
        end=end,
        done=done,
        notes=tuple(notes),
    )


def parse_lines(lines: Iterable[bytes]) -> tuple[Rows, int]:
    """Usable lines as (step, finite numbers by name), in file order, and the count of bad ones.

    A line is bad if it is not a JSON object with a `step` from 0. Values that are no finite
    numbers are left out of an otherwise good line.
    """
    rows = []
    bad = 0
    for line in lines:
        if not line.strip():
            continue
        try:
            loaded = json.loads(line)
        except (ValueError, RecursionError):
            loaded = None
        step = _finite(loaded.get('step')) if isinstance(loaded, dict) else None
        if step is None or not 0 <= step <= _LARGEST_STEP:
            bad += 1
            continue
        row = {key: _finite(value) for key, value in loaded.items() if key != 'step'}
        rows.append((int(step), {key: value for key, value in row.items() if value is not None}))
    return rows, bad


def drop_superseded(rows: Rows) -> tuple[Rows, int]:
    """Rows in order of step without those that a resumed run has lived through again.

    A run that resumes from a checkpoint starts at a lower step than the last one written. What
    had been written past that checkpoint belongs to a past that no longer counts. A single line
    out of order, with the next one going on as before, is no resume and only sorted in.
    """
    kept: Rows = []
    dropped = 0
    stray = []
    for index, (step, row) in enumerate(rows):
        if kept and step < kept[-1][0]:
            if index + 1 < len(rows) and rows[index + 1][0] >= kept[-1][0]:
                stray.append((step, row))
                continue
            while kept and kept[-1][0] > step:
                kept.pop()
                dropped += 1
        kept.append((step, row))
    return sorted(kept + stray, key=lambda item: item[0]), dropped


def _by_metric(rows: Rows, end: int) -> tuple[dict[str, Series], dict[str, Series]]:
    """Rows in order of step as one series a metric: (after the prefill, of the prefill).

    A row tagged `train_prefill` gives its episode's values to the prefill's series; all else in
    it, such as a loss, counts as ever.
    """
    parts: tuple[dict, dict] = ({}, {})
    for step, row in rows:
        tagged = bool(row.pop('train_prefill', 0))
        for key, value in row.items():
            steps, values = parts[tagged and bool(_OF_EPISODE.match(key))].setdefault(key, ([], []))
            steps.append(step)
            values.append(value)
    for part in parts:
        for key, (steps, values) in part.items():
            part[key] = Series(np.array(steps, np.int64), np.array(values, np.float64), end)
    return parts


def parse_evaluations(lines: Iterable[bytes], end: int) -> dict[str, Series]:
    """Episodes of the last checkpoint evaluated on each level, under the metrics of training.

    Where a checkpoint was evaluated on a level more than once, the policy of training is preferred,
    then sampled actions, and then the later row. If it has played in neither way, but with its most
    probable actions, it has no place beside training and nothing is there. Bad lines are skipped.
    """
    best: dict[str, tuple[tuple[int, int], dict[str, np.ndarray]]] = {}
    for line in lines:
        try:
            row = json.loads(line)
            step, level, policy = int(row['step']), row['level'], str(row.get('policy', ''))
            columns = {name: _numbers(row.get(key)) for name, key in _EVALUATED.items()}
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
            continue
        kept = {name: values for name, values in columns.items() if len(values)}
        possible = 0 <= step <= _LARGEST_STEP and isinstance(level, str)
        if not possible or 'train_return' not in kept:
            continue
        rank = step, _PREFERENCE.get(policy, 0)
        if level not in best or rank >= best[level][0]:
            best[level] = rank, kept
    return {
        f'{name}/{level}': Series(np.full(len(values), step, np.int64), values, end)
        for level, ((step, preference), kept) in best.items()
        if preference
        for name, values in kept.items()
    }


def _numbers(listed: Any) -> np.ndarray:
    """A list of finite numbers as float64 `[n]`; empty where it is none.

    Raises ValueError or TypeError where something else is in it.
    """
    values = np.array(listed if isinstance(listed, list) else [], np.float64)
    return values if values.ndim == 1 and np.isfinite(values).all() else np.zeros(0)


def _read_config(path: pathlib.Path, notes: list[str]) -> dict[str, Any]:
    """The configuration at `path` with dotted keys; empty, with a note, where unreadable."""
    try:
        with open(path, 'rb') as file:
            content = file.read(_LARGEST_CONFIG + 1)
        if len(content) > _LARGEST_CONFIG:
            raise ValueError('too large')
        loaded = ruamel.yaml.YAML(typ='safe').load(content)
        if not isinstance(loaded, dict):
            notes.append(f'{CONFIG} is not a mapping of keys to values')
            return {}
        leaves = list(itertools.islice(_leaves(loaded), _MOST_KEYS + 1))
        # More than any configuration has, as aliases can make of a few.
        if len(leaves) > _MOST_KEYS:
            raise ValueError('too many keys')
    except FileNotFoundError:
        notes.append(f'no {CONFIG}')
        return {}
    # A damaged file can fail inside the YAML reader in more ways than its own error class.
    except (OSError, ValueError, TypeError, RecursionError, ruamel.yaml.error.YAMLError):
        notes.append(f'{CONFIG} cannot be read')
        return {}
    return dict(leaves)


def _leaves(nested: Mapping[Any, Any], prefix: str = '') -> Iterator[tuple[str, Any]]:
    """Nested mappings as dotted keys: `{'rssm': {'deter': 1}}` is `rssm.deter` and 1."""
    for key, value in nested.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, f'{prefix}{key}.')
        else:
            yield f'{prefix}{key}', value


def run_levels(
    task: str, study: Mapping[str, Any], config: Mapping[str, Any], metrics: Iterable[str]
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
    steps = number(config.get('steps'))
    if steps is None or not 0 < steps <= _LARGEST_STEP:
        return None
    return int(steps) * max(1, _whole(config.get('action_repeat'), 1))


def _read_lines(path: pathlib.Path, notes: list[str]) -> list[bytes]:
    try:
        return path.read_bytes().split(b'\n')
    except OSError as error:
        notes.append(f'{path.name} cannot be read: {error.strerror}')
        return []


def _read_json(path: pathlib.Path, notes: list[str]) -> dict[str, Any]:
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


def number(value: Any) -> float | None:
    """A number of the configuration, where YAML may also give one such as `1e7` as text."""
    try:
        return _finite(float(value) if isinstance(value, str) else value)
    except ValueError:
        return None


def _whole(value: Any, default: int) -> int:
    found = number(value)
    return default if found is None else int(found)


def _finite(value: Any) -> float | None:
    """`value` as a finite float, or None where it is no finite number."""
    try:
        return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else None
    except OverflowError:
        return None
