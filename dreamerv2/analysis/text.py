"""Numbers and metrics in words: for axes, legends and sentences."""

import math
from collections.abc import Sequence

import numpy as np

_NAMED_AT_MOST = 6

_METRIC_LABELS = {
    'train_return': 'training return',
    'train_length': 'episode length (agent steps)',
    'train_progress': 'progress (share of the level)',
    'train_completed': 'share of episodes completed',
    'eval_return': 'evaluation return',
    'eval_length': 'evaluation episode length (agent steps)',
    'eval_progress': 'evaluation progress (share of the level)',
    'eval_completed': 'share of evaluation episodes completed',
    'image_loss': 'image loss (nats)',
    'reward_loss': 'reward loss (nats)',
    'discount_loss': 'discount loss (nats)',
    'kl_loss': 'KL loss (nats)',
    'model_kl': 'KL divergence (nats)',
    'prior_ent': 'prior entropy (nats)',
    'post_ent': 'posterior entropy (nats)',
    'actor_ent': 'policy entropy (nats)',
    'fps': 'speed (frames/s)',
}


def metric_label(metric: str) -> str:
    """A metric's name for an axis: words and unit where it is known, with the level if any."""
    name, _, level = metric.partition('/')
    label = _METRIC_LABELS.get(name, name)
    return f'{label}, {level}' if level else label


def short(value: float, digits: int = 3) -> str:
    """A number in that many digits, whole where it has more, and never as a power of ten."""
    if abs(value) >= 10 ** (digits - 1) or not math.isfinite(value):
        return f'{value:.0f}'
    return np.format_float_positional(float(f'{value:.{digits}g}'), trim='-')


def frame_unit(end: float) -> tuple[float, str]:
    """Frames to a tick's unit, and its name: `M`, `k`, or nothing."""
    return (1e6, 'M') if end >= 1e6 else (1e3, 'k') if end >= 1e3 else (1.0, '')


def short_frames(frames: float) -> str:
    """A number of frames in three digits or fewer with its unit: 2.5M, 240k, 96."""
    size, name = frame_unit(frames)
    value = frames / size
    return f'{value:.0f}{name}' if value >= 100 or not name else f'{value:.3g}{name}'


def reached(frames: float) -> str:
    """Frames at which something was reached: `never` for infinity, `?` for NaN."""
    return '?' if math.isnan(frames) else 'never' if math.isinf(frames) else short_frames(frames)


def counts(first: float, second: float) -> str:
    """`n = 5`, or `n = 5 and 4` of the two sides; whole runs a level."""
    runs = [math.floor(n + 1e-9) for n in (first, second)]
    return f'n = {runs[0]}' if runs[0] == runs[1] else f'n = {runs[0]} and {runs[1]}'


def tied(words: str) -> str:
    """The same words with `n = 3` held together on one line."""
    return words.replace(' = ', '\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}')


def without(missing: Sequence[object]) -> str:
    """`, without 2 runs: a, b`; nothing where nothing is missing."""
    if not missing:
        return ''
    return f', without {len(missing)} run{"s" * (len(missing) > 1)}: {first_few(missing)}'


def first_few(names: Sequence[object]) -> str:
    """`a, b`; of more than a line has room for the first ones and how many there are beside."""
    named = ', '.join(map(str, names[:_NAMED_AT_MOST]))
    more = len(names) - _NAMED_AT_MOST
    return f'{named} and {more} more' if more > 0 else named
