"""A study's YAML file, read and checked against the known tasks.

configs: [mario]            presets of configs.yaml for every run
config: {train_every: 16}   single keys on top of them (optional)
family: mario               of the tasks (optional; the levels are of this family)
frames: 1e7                 T, the frames of every run
seeds: [0, 1, 2, 3, 4]      which seeds, not how many
pretrain: [e4, e10]         names of sets of levels, one agent a set and seed
finetune: ef                levels, or a set, on which each of them is trained further
transfer: etau
baseline: [1-1, 3-1]        levels with an agent each (optional: all of the above)
sets: {mine: [1-1, 1-2]}    sets besides those of configs.yaml (optional)
grid: {kl.balance: [0.5, 0.8]}  all runs for every combination of these values (optional)
frames_per_second: 77       of one run, for the estimate of hours (optional)
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dreamerv2 import plugins
from dreamerv2.cli import did_you_mean
from dreamerv2.config import Config, load_config
from dreamerv2.config.files import Entry, read_entries
from dreamerv2.config.merge import expand, merge
from dreamerv2.config.schema import SCHEMA
from dreamerv2.envs import check_task, parse_task
from dreamerv2.envs.tasks import FAMILIES
from dreamerv2.errors import UsageError, printable, shown
from dreamerv2.studies.definition import SETTING, STAGES, Definition, by_stage, combinations

KEYS = ('configs', 'family', 'frames', 'seeds', *STAGES, 'frames_per_second')
MAPPINGS = {
    'config': '{train_every: 16}',
    'sets': '{mine: [1-1, 1-2]}',
    'grid': '{kl.balance: [0.5, 0.8]}',
}
SYNONYMS = {
    'steps': 'frames (agent steps times the action repeat)',
    'budget': 'frames',
    'seed': 'seeds',
    'preset': 'configs',
    'presets': 'configs',
    'task': 'baseline, or pretrain',
    'tasks': 'baseline, or pretrain',
    'levels': 'baseline',
    'logdir': '--logdir on the command line',
}
NEEDED = ('configs', 'frames', 'seeds', 'pretrain')
# Set by the runner for each run; a study cannot fix them for all.
OWN = ('task', 'seed', 'steps', 'logdir', 'init.from', 'init.dry_run', 'dry_run')
LARGEST_SEED = 2**31 - 1
MOST_RUNS = 10_000  # Nobody trains more: a list is longer than it was meant to be.


def read_definition(path: Path) -> Definition:
    """Reads and checks a study.

    Raises UsageError for an unknown key, set or level, or an impossible value, with its line.
    """
    given: dict[str, Entry] = {}
    nested: dict[str, dict[str, Entry]] = {name: {} for name in MAPPINGS}
    for entry in read_entries(path):
        key = entry.key
        head, _, rest = key.partition('.')
        if head in MAPPINGS and rest:
            nested[head][rest] = entry
        elif key in KEYS:
            given[key] = entry
        else:
            raise UsageError(f'{entry.where}: {_unknown_key(key, entry.value)}')
    for key in NEEDED:
        if key not in given:
            name = printable(str(path), 200)
            raise UsageError(f'{name}: {key} is missing; see experiments/mini.yaml for an example')
    family = _family(given['family']) if 'family' in given else 'mario'
    configs, overrides = _names(given['configs']), nested['config']
    config = _config(given['configs'], configs, overrides)
    known = dict(config.sets)
    for name, entry in nested['sets'].items():
        _names(dataclasses.replace(entry, key='sets', value=name))
        known[name] = _names(entry)
    for entry in nested['sets'].values():
        _levels(entry, family, known)  # Checked whether it is used or not.
    names = {
        key: _names(given[key]) if stage.on_set else _levels(given[key], family, known)
        for key, stage in STAGES.items()
        if key in given
    }
    sets = {
        name: _set(name, given[key], family, known)
        for key in names
        if STAGES[key].on_set
        for name in names[key]
    }
    frames = _number(given['frames'], 1)
    if not frames.is_integer():
        entry = given['frames']
        raise UsageError(f'{entry.where}: frames {shown(entry.value)}: expected a whole number')
    speed = given.get('frames_per_second')
    definition = Definition(
        sets=sets,
        trained_on=by_stage(sets, names),
        seeds=_seeds(given['seeds']),
        frames=int(frames),
        family=family,
        configs=configs,
        overrides={key: entry.value for key, entry in overrides.items()},
        grid=_grid(config, overrides, nested['grid']),
        frames_per_second=None if speed is None else _number(speed, 1e-6),
        path=path,
    )
    runs = len(definition.all_places()) * math.prod(map(len, definition.grid.values()))
    if runs > MOST_RUNS:
        raise UsageError(
            f'{printable(str(path), 200)}: {runs} runs, expected at most {MOST_RUNS}: '
            'name fewer seeds, sets or levels' + ', or a smaller grid' * bool(definition.grid)
        )
    for name in combinations(definition.grid):
        if name and not SETTING.fullmatch(name):
            raise UsageError(
                f'{printable(str(path), 200)}: grid: {shown(name)} is to name a folder; expected '
                'up to 200 letters, digits and . , ( ) + - alone'
            )
    return definition


def _unknown_key(key: str, value: Any) -> str:
    """What is wrong with an unknown key, and what was probably meant."""
    if key in MAPPINGS:
        return f'{key} {shown(value)}: expected keys and values, such as {key}: {MAPPINGS[key]}'
    head = key.split('.')[0]
    near = SYNONYMS.get(key) or did_you_mean(key, (*KEYS, *MAPPINGS))
    if head in KEYS:
        hint = f'{head} has no keys of its own'
    elif near:
        hint = near if near.startswith('did you') else f'did you mean {near}?'
    elif key in SCHEMA:
        hint = f'settings of the runs go under config, as in config: {{{key}: ...}}'
    else:
        hint = f'there are {", ".join((*KEYS, *MAPPINGS))}'
    return f'{shown(key)} is not a key of a study; {hint}'


def _family(entry: Entry) -> str:
    if entry.value not in (*FAMILIES, *plugins.names('environments')):
        hint = did_you_mean(str(entry.value), FAMILIES, lead='; ')
        raise UsageError(
            f'{entry.where}: family {shown(entry.value)}: expected {", ".join(FAMILIES)}{hint}'
        )
    return str(entry.value)


def _config(presets: Entry, configs: Sequence[str], overrides: Mapping[str, Entry]) -> Config:
    """The presets with the overrides; errors name the line of each."""
    try:
        config = load_config([f'--configs={",".join(configs)}'])
    except UsageError as error:
        raise UsageError(f'{presets.where}: configs: {error}') from error
    flat = config.flat
    for key, entry in overrides.items():
        _check_free(key, entry)
        if '=' in key:
            raise UsageError(f'{entry.where}: config.{printable(key)}: expected a key without "="')
        flat = merge(flat, [dataclasses.replace(entry, key=key)])
    try:
        return config.update({key: entry.value for key, entry in overrides.items()})
    except UsageError as error:
        file = presets.where.rpartition(' line ')[0]
        raise UsageError(f'{file}: config: {error}') from error


def _check_free(key: str, entry: Entry) -> None:
    """Raises UsageError for a key that the study sets itself."""
    if key in OWN:
        meant = f'; use {SYNONYMS[key]}' if key in SYNONYMS else ''
        raise UsageError(f'{entry.where}: {entry.key} is set by the study itself; remove it{meant}')


def _grid(
    config: Config, overrides: Mapping[str, Entry], grid: Mapping[str, Entry]
) -> dict[str, list[Any]]:
    """The values of each key of the grid; errors name the line of each."""
    fixed = {
        name: entry.where.rpartition(' ')[2]
        for key, entry in overrides.items()
        for name in expand(dataclasses.replace(entry, key=key), config.flat)
    }
    found: dict[str, list[Any]] = {key: [] for key in grid}
    for key, entry in grid.items():
        start = f'{entry.where}: {printable(entry.key)}'
        _check_free(key, entry)
        if key in fixed:
            raise UsageError(f'{start} is in line {fixed[key]} too, under config; keep one of them')
        if not isinstance(entry.value, list) or not entry.value:
            raise UsageError(f'{start} {shown(entry.value)}: expected a list, such as [0.5, 0.8]')
        for given, where in zip(entry.value, entry.items, strict=True):
            value = merge(config.flat, [Entry(key, given, where)], patterns=False)[key]
            if value in found[key]:
                raise UsageError(f'{where}: {entry.key} {shown(given)}: expected each value once')
            found[key].append(value)
    return found


def _names(entry: Entry) -> tuple[str, ...]:
    values = entry.value if isinstance(entry.value, list) else [entry.value]
    plain = all(isinstance(value, str | int) and not isinstance(value, bool) for value in values)
    names = tuple(str(value) for value in values) if plain else ()
    # A name is part of tasks and command lines and, for sets and levels, of folders.
    usable = all(
        re.fullmatch(r'[\w.:/-]+', name) and {'', '.', '..'}.isdisjoint(name.split('/'))
        for name in names
    )
    if not names or not usable or len(set(names)) < len(names):
        raise UsageError(
            f'{entry.where}: {printable(entry.key)} {shown(values)}: expected names, each once'
        )
    return names


def _set(
    name: str, entry: Entry, family: str, known: Mapping[str, Sequence[str]]
) -> tuple[str, ...]:
    """The levels of a pre-training set."""
    if name in known or f'{family}_{name}' in known:
        return _levels(dataclasses.replace(entry, value=name, items=()), family, known)
    hint = did_you_mean(name.removeprefix(f'{family}_'), known, lead='; ')
    listed = printable(', '.join(known), 100)
    where = dict(zip(_names(entry), entry.items, strict=False)).get(name, entry.where)
    raise UsageError(f'{where}: {shown(name)} is not a set of levels: there are {listed}{hint}')


def _levels(entry: Entry, family: str, known: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Names of levels, with sets expanded."""
    names = _names(entry)
    places = entry.items or [entry.where] * len(names)
    for name, where in zip(names, places, strict=True):
        bare = name.removeprefix(f'{family}_')
        if bare != name and name not in known:
            raise UsageError(
                f'{where}: {shown(name)}: names here have no family; did you mean '
                f'{printable(bare)}?'
            )
        try:
            check_task(f'{family}_{name}', known)
        except UsageError as error:
            raise UsageError(f'{where}: {error}') from error
    try:
        return tuple(parse_task(f'{family}_{"+".join(names)}', known).names)
    except UsageError as error:
        raise UsageError(f'{entry.where}: {error}') from error


def _number(entry: Entry, low: float) -> float:
    try:
        value = float(entry.value)
    except (TypeError, ValueError, OverflowError):
        value = math.nan
    if not low <= value < math.inf or isinstance(entry.value, bool):
        raise UsageError(
            f'{entry.where}: {entry.key} {shown(entry.value)}: expected a number from {low:g}'
        )
    return value


def _seeds_hint(value: Any) -> str:
    """What a single number instead of a list may have meant: that seed, or that many."""
    if not _is_seed(value):
        return 'expected a list of whole numbers, such as [0, 1]'
    if value < 2:
        return f'expected a list; write [{value}] for this one seed'
    first = '0, 1' if value == 2 else '0, 1, 2' if value == 3 else f'0, 1, ..., {value - 1}'
    return f'expected a list; write [{first}] for {value} seeds, or [{value}] for this one'


def _seeds(entry: Entry) -> tuple[int, ...]:
    values = entry.value
    if not isinstance(values, list):
        expected = _seeds_hint(values)
    elif values and all(map(_is_seed, values)) and len(set(values)) == len(values):
        return tuple(values)
    else:
        expected = f'expected whole numbers from 0 to {LARGEST_SEED}, each once'
    raise UsageError(f'{entry.where}: seeds {shown(values)}: {expected}')


def _is_seed(value: Any) -> bool:
    return type(value) is int and 0 <= value <= LARGEST_SEED
