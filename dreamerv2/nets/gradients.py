"""Gradients written by hand where TensorFlow's own are imprecise, slow or not repeatable."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

Weights = tuple[tf.Tensor, tf.Tensor]
Activation = Callable[[tf.Tensor], tf.Tensor]
Product = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
# From input, kernel and the product's gradient to those of input and kernel.
ProductGradients = Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]]


def affine(
    product: Product,
    gradients: ProductGradients,
    x: tf.Tensor,
    weights: Weights,
    act: Activation = tf.identity,
) -> tf.Tensor:
    """`act(product(x, kernel) + bias)`, with gradients of its own.

    TensorFlow's gradient of a bias adds up in the computation's type: in bfloat16, over the rows
    and pixels of a batch, it can be off by as much as its size. Here it is added in float32.

    Args:
        product: what is linear in both `x` and the kernel; the result's last axis is the bias's.
        gradients: those of `x` and of the kernel.
        x: input.
        weights: kernel and bias in the computation's type.
        act: works elementwise; inside, so that it fuses with product and bias.
    """

    @tf.custom_gradient
    def run(x, kernel, bias):
        before = tf.nn.bias_add(product(x, kernel), bias)
        with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
            tape.watch(before)
            after = act(before)

        def gradient(upstream):
            upstream = tape.gradient(after, before, upstream)
            return *gradients(x, kernel, upstream), sum_of_rows(upstream)

        return after, gradient

    return run(x, *weights)


def sum_of_rows(x: tf.Tensor) -> tf.Tensor:
    """The sum of `x [..., units]` over all axes but the last, added up in float32."""
    # Cast first: without instructions for it a processor rounds a product of bfloat16 in between.
    rows = tf.cast(tf.reshape(x, [-1, x.shape[-1]]), tf.float32)
    return tf.cast(tf.matmul(tf.ones([1, tf.shape(rows)[0]]), rows)[0], x.dtype)


def matmul_gradients(
    x: tf.Tensor, kernel: tf.Tensor, upstream: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Gradients of `x [N, in]` and the kernel `[in, out]` from their product's."""
    return tf.matmul(upstream, kernel, transpose_b=True), tf.matmul(x, upstream, transpose_a=True)


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
