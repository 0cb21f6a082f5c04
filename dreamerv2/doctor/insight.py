"""What a run's evaluations say about its world model and critic."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from dreamerv2.doctor.rows import Row, ok, warning
from dreamerv2.run.metrics.insight import LEAST_CONTRAST
from dreamerv2.run.metrics.jsonl import METRICS

BLIND = 0.5  # Error relative to a blind drawing from which on Mario counts as not seen.
CHANCE = 0.7  # ROC area up to which deaths count as not foreseen.
FEW_DEATHS = 5
BIAS = 0.3
EARLY = 2000  # Updates before which nothing is expected.
_CHECK = 'world model'
_TRY = 'compare settings in minutes with `python -m dreamerv2.world_model {path} --configs ...`'


def check(path: Path) -> list[Row]:
    """Rows about the newest evaluation with measures; none without one."""
    file = path / METRICS
    if not file.exists():
        return []
    with open(file, 'rb') as stream:
        found, updates = newest(stream)
    return judge(found, updates, path) if found else []


def newest(lines: Iterable[bytes]) -> tuple[dict[str, float], int]:
    """The newest measures by name, and the updates logged before them; empty without any."""
    found: dict[str, float] = {}
    updates = updates_then = 0
    for line in lines:
        try:
            row = json.loads(line)
            if 'updates' in row:
                updates = int(row['updates'])
            if 'model_error/rest' in row:
                found, updates_then = row, updates
        except (ValueError, TypeError, RecursionError):  # `metrics` reports what is wrong with it.
            continue
    numbers = {key: value for key, value in found.items() if isinstance(value, (int, float))}
    return numbers, updates_then


def judge(found: Mapping[str, float], updates: int, path: Path) -> list[Row]:
    """Rows of the table for measures named as in `metrics.jsonl`."""
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
