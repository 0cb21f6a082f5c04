"""Values that depend on the number of agent steps."""

from __future__ import annotations

import re

import tensorflow as tf


def schedule(value: float | str, step: tf.Tensor) -> tf.Tensor:
    """Value at `step`, from a number or from the text of a schedule.

    `linear(start,end,duration)`, `warmup(duration,value)`, `exp(start,end,halflife)` and
    `horizon(start,end,duration)`, which is linear in 1 / (1 - value).

    Raises:
        ValueError: where the text is no schedule.
    """
    try:
        return tf.constant(float(value))
    except ValueError:
        pass
    match = re.fullmatch(r'\s*(\w+)\((.*)\)\s*', str(value))
    kind = match.group(1) if match else ''
    numbers = [float(part) for part in match.group(2).split(',')] if match else []
    step = tf.cast(step, tf.float32)
    if kind in ('linear', 'horizon') and len(numbers) == 3:
        start, end, duration = numbers
        mix = tf.clip_by_value(step / duration, 0.0, 1.0)
        now = (1 - mix) * start + mix * end
        return now if kind == 'linear' else 1 - 1 / now
    if kind == 'warmup' and len(numbers) == 2:
        duration, final = numbers
        return tf.clip_by_value(step / duration, 0.0, 1.0) * final
    if kind == 'exp' and len(numbers) == 3:
        start, end, halflife = numbers
        return (start - end) * 0.5 ** (step / halflife) + end
    raise ValueError(
        f'{value!r} is no schedule: expected a number, linear(a,b,steps), warmup(steps,a), '
        'exp(a,b,halflife) or horizon(a,b,steps).'
    )
