"""Pure functions on rewards, values and masks."""

from __future__ import annotations

import math
from collections.abc import Sequence

import tensorflow as tf


def masked_mean(values: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """`sum(mask * values) / sum(mask)` for tensors of one shape; 0 where no row counts."""
    return tf.reduce_sum(mask * values) / tf.maximum(tf.reduce_sum(mask), 1e-8)


def masked_std(values: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """Standard deviation over the rows that count."""
    mean = masked_mean(values, mask)
    return tf.sqrt(masked_mean(tf.square(values - mean), mask))


def masked_quantiles(values: tf.Tensor, mask: tf.Tensor, quantiles: Sequence[float]) -> tf.Tensor:
    """Quantiles of the rows that count, interpolated linearly as `np.quantile` does.

    Args:
        values, mask: of one shape; the mask holds 0 and 1.
        quantiles: in [0, 1].

    Returns:
        `[quantiles]`; infinite where no row counts.
    """
    counted = tf.reshape(mask, [-1]) > 0
    ordered = tf.sort(tf.where(counted, tf.reshape(values, [-1]), math.inf))
    last = tf.maximum(tf.reduce_sum(tf.cast(counted, tf.int32)) - 1, 0)
    place = tf.constant(quantiles, tf.float32) * tf.cast(last, tf.float32)
    below = tf.cast(place, tf.int32)
    low = tf.gather(ordered, below)
    high = tf.gather(ordered, tf.minimum(below + 1, last))
    return low + (place - tf.floor(place)) * (high - low)


def lambda_return(
    reward: tf.Tensor,
    value: tf.Tensor,
    discount: tf.Tensor,
    bootstrap: tf.Tensor,
    lambda_: float,
) -> tf.Tensor:
    """Lambda-return (arXiv:2010.02193, equation 4; thesis, equation 4).

        V_t = r_t + d_t ((1 - lambda) v_{t+1} + lambda V_{t+1}),  V_H = bootstrap

    Args:
        reward, value, discount: `[time, ...]` of one shape.
        bootstrap: value behind the last step, `[...]`.
        lambda_: 0 gives one-step returns, 1 the discounted Monte Carlo return.

    Returns:
        Returns of the shape of `reward`.
    """
    next_value = tf.concat([value[1:], bootstrap[None]], 0)
    inputs = reward + discount * next_value * (1 - lambda_)
    returns, last = [], bootstrap
    for index in reversed(range(reward.shape[0])):
        last = inputs[index] + discount[index] * lambda_ * last
        returns.append(last)
    return tf.stack(returns[::-1])
