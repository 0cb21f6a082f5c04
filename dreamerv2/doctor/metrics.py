"""Checks of a logdir's `metrics.jsonl`: its lines, and what evaluations measured."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from dreamerv2.doctor.rows import Row, failed, ok, warning
from dreamerv2.run.checkpoint import Checkpoint
from dreamerv2.run.metrics.insight import LEAST_CONTRAST
from dreamerv2.run.metrics.jsonl import METRICS

BLIND = 0.5  # Error relative to a blind drawing from which on Mario counts as not seen.
CHANCE = 0.7  # ROC area up to which deaths count as not foreseen.
FEW_DEATHS = 5
BIAS = 0.3
EARLY = 2000  # Updates before which nothing is expected.
_CHECK = 'world model'
_TRY = 'compare settings in minutes with `python -m dreamerv2.world_model {path} --configs ...`'
_SHOWN = 3


@dataclasses.dataclass
class Contents:
    """What is in a file of metrics."""

    problems: list[str] = dataclasses.field(default_factory=list)  # with their line
    nulls: list[str] = dataclasses.field(default_factory=list)  # losses that were not finite
    rows: int = 0  # good ones
    step: float = 0.0  # of the last row, in frames
    unfinished: bytes = b''  # what follows the last end of a line
    measures: dict[str, Any] = dataclasses.field(default_factory=dict)  # the newest evaluation's
    updates: float = 0  # logged before those


def read(lines: Iterable[bytes]) -> Contents:
    """Reads a file of metrics line by line.

    Rows of episodes and evaluations may share a step with others; two rows of updates (those with
    the key `updates`) may not.
    """
    found = Contents()
    updated, updates = -math.inf, -math.inf
    for number, line in enumerate(lines, 1):
        if not line.endswith(b'\n'):
            found.unfinished = line
            continue
        try:
            row = json.loads(line, parse_constant=_refuse)
            step = row['step']
            if type(step) not in (int, float) or not 0 <= step < math.inf:
                raise ValueError(f'its step is {step!r}')
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            words = 'it has no step' if isinstance(error, KeyError) else str(error)
            found.problems.append(f'line {number} is not a row of metrics ({words})')
            continue
        if step < found.step:
            found.problems.append(f'line {number}: step {step} after {found.step}')
        if 'updates' in row:
            if step == updated:
                found.problems.append(f'line {number}: a second row of updates at step {step}')
            if type(row['updates']) not in (int, float) or row['updates'] < updates:
                found.problems.append(f'line {number}: {row["updates"]} updates after {updates}')
            else:
                updated, updates = step, row['updates']
        if 'model_error/rest' in row:
            found.measures, found.updates = row, max(updates, 0)
        broken = [key for key, value in row.items() if value is None]
        losses = [key for key in broken if key.partition('/')[0].endswith('_loss')]
        found.nulls += [f'{key} at step {step}' for key in losses]
        found.step = step
        found.rows += 1
    return found


def _refuse(name: str) -> None:
    raise ValueError(f'it holds {name}')


def check(path: Path, newest: Checkpoint | None, alive: bool) -> list[Row]:
    """Whether each line is a row of metrics and steps increase.

    The last line may be incomplete while a run is `alive`.
    """
    file = path / METRICS
    if not file.exists():
        missing = failed('metrics', f'{file} is missing', 'restore it from a copy')
        return [missing if newest else ok('metrics', 'none yet')]
    with open(file, 'rb') as stream:
        found = read(stream)
    rows = []
    if problems := found.problems:
        more = [f'and {len(problems) - _SHOWN} more'] if len(problems) > _SHOWN else []
        seen = f'{file}: ' + '; '.join([*problems[:_SHOWN], *more])
        hint = (
            'remove these lines from the file (a resumed run moves those that it cannot read '
            'to metrics.superseded.jsonl by itself)'
        )
        rows.append(failed('metrics', seen, hint))
    if found.unfinished and not alive:
        seen = f'{file}: the last line is cut off after {len(found.unfinished)} bytes'
        rows.append(warning('metrics', seen, 'nothing to do: a resumed run moves it away'))
    if found.nulls:
        seen = f'{file}: {len(found.nulls)} not finite, first {found.nulls[0]}'
        hint = 'go back to an earlier checkpoint with a lower model_opt.lr or precision float32'
        rows.append(warning('metrics', seen, hint))
    if not rows:
        rows.append(ok('metrics', f'{found.rows} rows up to step {found.step:.0f}'))
    return rows


def check_world_model(path: Path) -> list[Row]:
    """Rows about the newest evaluation with measures of world model and critic, if there is one."""
    file = path / METRICS
    if not file.exists():
        return []
    with open(file, 'rb') as stream:
        contents = read(stream)
    return judge(contents.measures, contents.updates, path) if contents.measures else []


def judge(measures: Mapping[str, Any], updates: float, path: Path) -> list[Row]:
    """Rows of the table for measures named as in `metrics.jsonl`."""
    found = {key: value for key, value in measures.items() if isinstance(value, (int, float))}
    compare = _TRY.format(path=path)
    rows, good = [], []

    def say(wrong: bool, seen: str, hint: str) -> None:
        if wrong and updates >= EARLY:
            rows.append(warning(_CHECK, f'{seen}, after {updates} updates', f'{hint}; {compare}'))
        else:
            good.append(seen)

    contrast = found.get('model_error/player_contrast')
    if (error := found.get('model_error/player')) is not None:
        seen = 'does not see' if error > BLIND else 'sees'
        say(
            error > BLIND,
            f'it {seen} the player: error {error:.2f} relative to a blind drawing',
            'a higher model_opt.lr, decoder.error_weight, or more updates may help',
        )
    elif contrast is not None and contrast < LEAST_CONTRAST:
        good.append(
            f'the player differs too little from what is behind him to tell whether it sees him '
            f'(squared contrast {contrast:.4f}, {LEAST_CONTRAST} is needed; grayscale hides him)'
        )
    area, deaths = found.get('deaths_foreseen/auc_4'), found.get('deaths_foreseen/deaths_4', 0)
    if area is not None and deaths >= FEW_DEATHS:
        say(
            area < CHANCE,
            f'ROC area {area:.2f} for deaths 4 steps ahead ({deaths:.0f} deaths; 0.5 is chance)',
            'it must see player and enemies first; then a larger loss_scales.discount may help',
        )
    bias = found.get('critic_against/bias')
    if bias is not None:
        mean, followed = found['critic_against/mean'], found['critic_against/followed']
        say(
            abs(bias) > BIAS,
            f'the critic expects {mean:.1f} on average, {followed:.1f} followed',
            'a critic that expects too much overlooks deaths, one that expects too little the rest '
            'of the level',
        )
    return [*rows, *([ok(_CHECK, '; '.join(good))] if good else [])]
