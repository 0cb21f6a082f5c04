"""The YAML file of a search, read and checked.

configs: [mario_small]      presets of configs.yaml for every run
config: {train_every: 8}    single keys on top of them (optional)
task: mario_1-1
frames: 64000               of every run
seeds: [0, 1]               which seeds, not how many
trials: 20                  how many settings to try
space:
  model_opt.lr: {log: [1e-4, 1e-3]}
  discount: {uniform: [0.98, 0.999]}
  rssm.deter: {int: [100, 400]}       whole numbers, both ends included
  loss_scales.kl: {values: [0.1, 0.3]}
objective: train_return     a metric of metrics.jsonl (optional, as is all below)
direction: maximize         or minimize
last: 0.1                   a run's score is the mean over this last part of its frames
prune_from: 0.3             the part of its first run before which no setting is given up; 1: never
"""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

from dreamerv2.cli import did_you_mean
from dreamerv2.config import Config, load_config
from dreamerv2.config.files import Entry, read_entries
from dreamerv2.config.kinds import Kind, choice, number, several, text, whole
from dreamerv2.durable import to_json
from dreamerv2.envs import check_task
from dreamerv2.errors import UsageError, printable, shown
from dreamerv2.studies.definition import Job

OWN = ('task', 'seed', 'steps', 'logdir', 'init.dry_run', 'dry_run')
FIELDS = {
    'configs': several(text(), 1, noun='presets'),
    'task': text(),
    'frames': whole(1),
    'seeds': several(whole(0, 2**31 - 1), 1),
    'trials': whole(1, 10_000),
    'objective': text(),
    'direction': choice('maximize', 'minimize'),
    'last': number(0, 1, above=True),
    'prune_from': number(0, 1),
}
DEFAULTS = {'objective': 'train_return', 'direction': 'maximize', 'last': 0.1, 'prune_from': 0.3}
SPACES = {
    'log': several(number(0, above=True), 2, 2),
    'uniform': several(number(), 2, 2),
    'int': several(whole(-(10**15)), 2, 2),
    'values': Kind('a list', lambda value: tuple(value if isinstance(value, list) else [value])),
}
UNSCORED = ('objective', 'last', 'prune_from')  # may change until there is a score


@dataclasses.dataclass(frozen=True)
class Search:
    """What is searched; see the top of the module."""

    configs: tuple[str, ...]
    task: str
    frames: int
    seeds: tuple[int, ...]
    trials: int
    objective: str
    direction: str
    last: float
    prune_from: float
    space: dict[str, tuple[str, tuple[Any, ...]]]  # by key: one of `SPACES`, and its numbers
    flags: tuple[str, ...]  # of `train.py`, for every run
    config: Config  # the same, without the space

    def jobs(self, trial: int, setting: dict[str, Any], root: Path) -> list[Job]:
        """A trial's runs, one a seed."""
        flags = (*self.flags, *(f'--{key}={setting[key]}' for key in self.space))
        steps, frames = self.config.steps, self.config.steps * self.config.action_repeat
        return [
            Job(name, self.task, seed, frames, steps, root / name, flags)
            for seed in self.seeds
            for name in [f'{trial:03}/{seed}']
        ]

    def identity(self) -> dict[str, Any]:
        """What must stay the same for its runs to be comparable, as JSON gives it back."""
        own = {key: getattr(self, key) for key in ('seeds', 'space', 'direction', *UNSCORED)}
        base = {key: value for key, value in self.config.flat.items() if key != 'logdir'}
        return dict(json.loads(to_json({**base, **own})))


def read_search(path: Path) -> Search:
    """Reads and checks a search.

    Raises UsageError for an unknown key or preset, or an impossible value, with its line.
    """
    given: dict[str, Any] = dict(DEFAULTS)
    overrides: dict[str, Entry] = {}
    space: dict[str, tuple[str, tuple[Any, ...]]] = {}
    places: dict[str, str] = {}
    for entry in read_entries(path):
        head, _, rest = entry.key.partition('.')
        key, _, kind = rest.rpartition('.')
        if head == 'config' and rest:
            overrides[rest] = entry
        elif head == 'space' and rest:
            if key in space:
                raise UsageError(
                    f'{entry.where}: space.{printable(key)}: expected one kind of range'
                )
            space[key] = kind, _range(entry, kind)
            places[f'space.{key}'] = entry.where
        elif entry.key in FIELDS:
            given[entry.key], places[entry.key] = _value(entry, FIELDS[entry.key]), entry.where
        else:
            hint = did_you_mean(entry.key, (*FIELDS, 'config', 'space'), lead='; ')
            raise UsageError(f'{entry.where}: {shown(entry.key)} is not a key of a search{hint}')
    name = printable(str(path), 200)
    missing = [key for key in FIELDS if key not in given] + ['space'] * (not space)
    if missing:
        raise UsageError(f'{name}: {missing[0]} is missing; see experiments/search.yaml')
    if len(set(given['seeds'])) < len(given['seeds']):
        raise UsageError(f'{places["seeds"]}: seeds {given["seeds"]}: expected each once')
    for key in (*overrides, *space):
        if key in OWN or '=' in key:
            where = overrides[key].where if key in overrides else places[f'space.{key}']
            raise UsageError(f'{where}: {printable(key)} cannot be set here: remove it')
    flags = [f'--configs={",".join(given["configs"])}']
    for key, entry in overrides.items():
        values = entry.value if isinstance(entry.value, list) else [entry.value]
        flags.append(f'--{key}={",".join(map(str, values))}')
    try:
        config = load_config([*flags, f'--task={given["task"]}'])
        check_task(given['task'], config.sets)
        config = config.update({'steps': math.ceil(given['frames'] / config.action_repeat)})
    except UsageError as error:
        raise UsageError(f'{name}: {error}') from error
    if config.steps <= config.prefill:
        raise UsageError(
            f'{places["frames"]}: frames {given["frames"]} are {config.steps} agent steps, no more '
            f'than the prefill of {config.prefill}: raise frames, or lower config.prefill'
        )
    for key, (kind, ends) in space.items():
        # One between the ends, too: a key of whole numbers would take both ends of a `log`.
        between = [] if kind in ('values', 'int') else [ends[0] + 0.38 * (ends[1] - ends[0])]
        for value in (*ends, *between):
            try:
                load_config([*flags, f'--{key}={value}'])
            except UsageError as error:
                raise UsageError(f'{places[f"space.{key}"]}: space: {error}') from error
    return Search(**given, space=space, flags=tuple(flags), config=config)


def _range(entry: Entry, kind: str) -> tuple[Any, ...]:
    """The ends of a range, or the values to choose from."""
    if kind not in SPACES:
        raise UsageError(
            f'{entry.where}: {printable(entry.key)}: expected {", ".join(SPACES)}, as in '
            'model_opt.lr: {log: [1e-4, 1e-3]}'
        )
    values: tuple[Any, ...] = _value(entry, SPACES[kind])
    if kind == 'values' and not len(set(map(str, values))) == len(values) > 0:
        raise UsageError(f'{entry.where}: values {shown(entry.value)}: expected each once')
    if kind != 'values' and values[0] >= values[1]:
        raise UsageError(
            f'{entry.where}: {kind} {shown(entry.value)}: expected the lower end first'
        )
    return values


def _value(entry: Entry, kind: Kind) -> Any:
    try:
        return kind.convert(entry.value)
    except (ValueError, TypeError, OverflowError):
        raise UsageError(
            f'{entry.where}: {printable(entry.key)} {shown(entry.value)}: expected {kind.expected}'
        ) from None
