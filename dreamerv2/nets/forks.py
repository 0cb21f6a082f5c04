"""Tensors that are used in several places, whose gradients are added in one order."""

from __future__ import annotations

import tensorflow as tf


def forked(x: tf.Tensor, number: int = 2) -> list[tf.Tensor]:
    """`x` so many times, for a tensor that is used in three or more places.

    TensorFlow adds the gradients of more than two uses in an order that depends on which of their
    buffers are free by then, so that equal runs differ in roundings. Those of two come to the same
    in either order.
    """
    if number == 1:
        return [x]

    @tf.custom_gradient
    def run(x):
        def gradient(*upstream):
            if number > 2:
                return tf.reduce_sum(tf.stack(upstream), 0)
            # Flat, or an optimisation would join this sum with others to one of many terms.
            one, other = (tf.reshape(part, [-1]) for part in upstream)
            return tf.reshape(one + other, x.shape)

        return tuple(tf.identity(x) for _ in range(number)), gradient

    return list(run(x))
