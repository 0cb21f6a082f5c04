"""Checks of a task by playing it, built as in training."""

from __future__ import annotations

import contextlib
import functools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from dreamerv2.config import Config, load_config
from dreamerv2.doctor import mario_endings
from dreamerv2.doctor.rows import FAILED, Check, Row, failed, ok, warning, words_of
from dreamerv2.envs import check_task, make_env, parse_task
from dreamerv2.envs.contract import ContractError, Environment, check_env, sample_action
from dreamerv2.envs.tasks import is_foreign
from dreamerv2.run import build, random_streams

PRESETS = {'mario': 'mario', 'atari': 'atari', 'gym': 'control'}  # by family; else the defaults

_STEPS = 100
_LIMIT = 3
_ATTEMPTS = 10
_SEEN_STICKY = 0.1  # From here on 100 steps without a repeated action are very unlikely.

_OWN = (
    'make the environment follow the contract in dreamerv2/envs/contract.py; if it is one of this '
    'package, `python -m dreamerv2.doctor` checks what it needs'
)
_WAYS_OUT = {
    'changed after it was returned': 'return copies, such as np.array(frame), and not the buffer '
    'that the next step writes to',
    'from the same state': 'draw everything random from one generator made from the seed, and '
    'save it in get_state and set_state',
    'is_terminal without is_last': 'set is_last too where is_terminal is set',
    'is not finite': 'fix the environment: NaN or infinity breaks training',
}

Make = Callable[..., Environment]


def configuration(task: str, flags: Sequence[str]) -> Config:
    """The configuration that training would use; without `--configs` the family decides the preset.

    Raises UsageError for a mistake in the flags, and where there is no such task.
    """
    config = load_config([*flags, '--task', task])
    sets = build.task_sets(config)
    family = parse_task(task, sets).family
    # Atari's check is about the installation, and a row of the table.
    if is_foreign(family):
        check_task(task, sets)
    if '--configs' not in flags:
        config = load_config(['--configs', PRESETS.get(family, 'defaults'), *flags, '--task', task])
    return config


def checks(config: Config) -> Iterator[Check]:
    """The checks of the configuration's task, in the order of the table."""
    options = build.env_options(config, config.task)
    seed = random_streams.derive(config.seed, 'envs')

    make = functools.partial(make_env, config.task, **options, seed=seed)
    parsed = parse_task(config.task, options['sets'])
    levels = parsed.names if parsed.family == 'mario' else ()
    further = [('endings', functools.partial(_mario_endings, level, options)) for level in levels]
    return checks_of(make, seed=seed, sticky=config.sticky, further=further)


def checks_of(
    make: Make, *, seed: int = 0, sticky: float = 0.0, further: Sequence[Check] = ()
) -> Iterator[Check]:
    """The checks of any environment; only the first if it cannot be made.

    `make` takes a seed and options that override the usual ones; `sticky` is the probability of
    sticky actions, which make seeds differ; the checks `further` come after these.
    """
    made = check_made(make)
    yield 'task', lambda: made
    if made.status != FAILED:
        yield 'contract', lambda: check_contract(make)
        yield 'determinism', lambda: check_determinism(make, seed, sticky)
        yield 'state', lambda: check_state(make)
        yield 'time limit', lambda: check_time_limit(make)
        yield from further


def check_made(make: Make) -> Row:
    """Whether the environment can be made, and what it offers."""
    try:
        with contextlib.closing(make()) as env:
            shown = ', '.join(
                f'{key} {space.dtype}{list(space.shape)}'
                for key, space in env.obs_space.items()
                if not key.startswith(('log_', 'is_')) and key not in ('reward', 'level')
            )
            levels = ', '.join(env.levels)
            return ok('task', f'{levels}: {shown}; {env.act_space}, repeat {env.action_repeat}')
    except Exception as error:
        hint = (
            'install what the message names, or fix the environment; '
            '`python -m dreamerv2.doctor` checks the installation'
        )
        return failed('task', f'it cannot be made: {words_of(error)}', hint)


def check_contract(make: Make) -> Row:
    """The contract of all environments, by random play."""
    try:
        with contextlib.closing(make()) as env:
            check_env(env, episodes=2, max_steps=_STEPS)
    except ContractError as error:
        hints = (words for part, words in _WAYS_OUT.items() if part in str(error))
        return failed('contract', str(error), next(hints, _OWN))
    return ok(
        'contract',
        'types, shapes and flags are correct, frames are copies, the same state gives the same '
        'episodes, wrong actions are refused',
    )


def check_determinism(make: Make, seed: int, sticky: float) -> Row:
    """Whether a seed gives the same rows twice, and another seed different ones."""
    played = []
    for number in (seed, seed, seed + 1):
        with contextlib.closing(make(seed=number)) as env:
            played.append(play(env, _STEPS))
    one, same, other = played
    if different := difference(one, same):
        seen = f'the same seed and actions give different rows: {different}'
        return failed('determinism', seen, _WAYS_OUT['from the same state'])
    seen = f'the same seed gives the same {len(one)} rows'
    if difference(one, other):
        return ok('determinism', f'{seen}, another seed different ones')
    if sticky >= _SEEN_STICKY:
        seen = f'another seed gives the same {len(one)} rows although sticky is {sticky}'
        return failed('determinism', seen, 'make everything random depend on the seed')
    return ok('determinism', f'{seen}; so does another: nothing random was seen')


def check_state(make: Make) -> Row:
    """Whether a new environment continues from another's state as that one does."""
    with contextlib.closing(make()) as env, contextlib.closing(make()) as fresh:
        play(env, _STEPS // 2)
        state = json.loads(json.dumps(env.get_state()))
        expected = play(env, _STEPS)
        fresh.set_state(state)
        again = play(fresh, _STEPS)
    if different := difference(expected, again):
        seen = f'after get_state and set_state the episodes differ: {different}'
        return failed('state', seen, _WAYS_OUT['from the same state'])
    seen = f'set_state in a new environment continues identically for {len(again)} rows'
    return ok('state', seen)


def check_time_limit(make: Make) -> Row:
    """Whether a time limit ends an episode without marking it terminal."""
    for attempt in range(_ATTEMPTS):
        with contextlib.closing(make(time_limit=_LIMIT)) as env:
            rows = play(env, _LIMIT, attempt)
        ends = [step for step, row in enumerate(rows) if row['is_last']]
        if not ends:
            seen = f'time_limit {_LIMIT} does not end an episode in {_LIMIT} steps'
            return failed('time limit', seen, 'set is_last where the limit is reached')
        if not rows[ends[0]]['is_terminal']:
            return ok('time limit', f'time_limit {_LIMIT}: is_last without is_terminal')
        with contextlib.closing(make(time_limit=0)) as env:
            free = play(env, _LIMIT, attempt)
        if not free[ends[0]]['is_last']:
            seen = f'time_limit {_LIMIT} sets is_terminal, though the episode would continue'
            return failed('time limit', seen, 'set only is_last where a time limit ends it')
    seen = f'all of {_ATTEMPTS} episodes ended by themselves within {_LIMIT} steps'
    return warning('time limit', seen, 'nothing to do: such short episodes need no limit')


def play(env: Environment, steps: int, seed: int = 0) -> list[dict[str, Any]]:
    """Copies of all observations of random play from a reset on, episode after episode.

    `steps` does not count resets.
    """
    generator = np.random.default_rng(seed)
    rows = [_copy(env.reset())]
    for _ in range(steps):
        if rows[-1]['is_last']:
            rows.append(_copy(env.reset()))
        rows.append(_copy(env.step(sample_action(env, generator))))
    return rows


def difference(one: Sequence[Mapping[str, Any]], other: Sequence[Mapping[str, Any]]) -> str:
    """Describes where two sequences of observations first differ; empty if nowhere."""
    for row, (first, second) in enumerate(zip(one, other, strict=False)):
        for key in sorted({*first, *second}):
            if key not in first or key not in second:
                return f'{key!r} is not always present'
            if not np.array_equal(first[key], second[key]):
                return f'{key!r} differs at row {row}'
    return '' if len(one) == len(other) else f'there are {len(one)} rows and {len(other)}'


def _copy(observation: Mapping[str, Any]) -> dict[str, Any]:
    return {key: np.array(value) for key, value in observation.items()}


def _mario_endings(level: str, options: Mapping[str, Any]) -> list[Row]:
    """The endings of one level, with the task's options except those that would interfere."""
    own = {**options, 'level_weights': None, 'time_limit': 0, 'sticky': 0.0}
    with contextlib.closing(make_env(f'mario_{level}', **own)) as env:
        return mario_endings.check(env)
