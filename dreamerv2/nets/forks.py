"""Tensors used in several places, whose gradients are added in a fixed order."""

from __future__ import annotations

import tensorflow as tf


def forked(x: tf.Tensor, number: int = 2) -> list[tf.Tensor]:
    """`number` copies of `x`, for a tensor that is used in three or more places.

    TensorFlow adds the gradients of more than two uses in an order that depends on which buffers
    are free, so that equal runs differ in rounding. The sum of two is the same in either order.
    """
    if number == 1:
        return [x]

    @tf.custom_gradient
    def run(x):
        def gradient(*upstream):
            if number > 2:
                return tf.reduce_sum(tf.stack(upstream), 0)
            # Flat, or an optimisation would merge this sum with others into one of many terms.
            one, other = (tf.reshape(part, [-1]) for part in upstream)
            return tf.reshape(one + other, x.shape)

        return tuple(tf.identity(x) for _ in range(number)), gradient

    return list(run(x))
