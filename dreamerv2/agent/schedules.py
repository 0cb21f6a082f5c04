"""Values that depend on the number of agent steps."""

from __future__ import annotations

import tensorflow as tf

from dreamerv2.config.kinds import parse_schedule


def schedule(value: float | str, step: tf.Tensor) -> tf.Tensor:
    """Value at `step`, from a number or from the text of a schedule.

    `linear(start,end,duration)`, `warmup(duration,value)`, `exp(start,end,halflife)` and
    `horizon(start,end,duration)`, which is linear in 1 / (1 - value).

    Raises:
        ValueError: where the text is no schedule.
    """
    parsed = parse_schedule(value)
    form, numbers, step = parsed.form, parsed.arguments, tf.cast(step, tf.float32)
    if form == 'constant':
        return tf.constant(numbers[0])
    if form == 'warmup':
        duration, final = numbers
        return tf.clip_by_value(step / duration, 0.0, 1.0) * final
    if form == 'exp':
        start, end, halflife = numbers
        return (start - end) * 0.5 ** (step / halflife) + end
    start, end, duration = numbers
    mix = tf.clip_by_value(step / duration, 0.0, 1.0)
    now = (1 - mix) * start + mix * end
    return now if form == 'linear' else 1 - 1 / now
