"""Hand-written gradients where TensorFlow's own are imprecise or slow."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from dreamerv2.nets.layers import Activation, Weights

Product = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
# From input, kernel and the product's gradient to those of input and kernel.
ProductGradients = Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]]


def affine(
    product: Product, gradients: ProductGradients, x, weights: Weights, act: Activation
) -> tf.Tensor:
    """`act(product(x, kernel) + bias)`, with hand-written gradients.

    TensorFlow accumulates the gradient of a bias in the computation's type: in bfloat16, over the
    rows and pixels of a batch, it can be off by its own size. Here it is accumulated in float32.

    Args:
        product: bilinear in `x` and the kernel; the result's last axis is the bias's.
        gradients: those of `x` and of the kernel.
        x, weights: input; kernel and bias in the computation's type.
        act: elementwise; applied here so that it fuses with product and bias.
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
    """The sum of `x [..., units]` over all axes but the last, accumulated in float32."""
    # Cast first: a CPU without bfloat16 instructions rounds the product in between.
    rows = tf.cast(tf.reshape(x, [-1, x.shape[-1]]), tf.float32)
    return tf.cast(tf.matmul(tf.ones([1, tf.shape(rows)[0]]), rows)[0], x.dtype)


def matmul_gradients(x, kernel, upstream) -> tuple[tf.Tensor, tf.Tensor]:
    """Gradients of `x [N, in]` and the kernel `[in, out]` from their product's."""
    return tf.matmul(upstream, kernel, transpose_b=True), tf.matmul(x, upstream, transpose_a=True)


def linear(x: tf.Tensor, weights: Weights, act: Activation = tf.identity) -> tf.Tensor:
    """As `Kernels.linear`, with hand-written gradients."""
    if x.shape.rank == 2:
        return affine(tf.matmul, matmul_gradients, x, weights, act)
    units = weights[0].shape[-1]
    flat = linear(tf.reshape(x, [-1, x.shape[-1]]), weights, act)
    shape = tf.concat([tf.shape(x)[:-1], [units]], 0)
    return tf.ensure_shape(tf.reshape(flat, shape), [*x.shape[:-1], units])


def layer_norm(x: tf.Tensor, weights: Weights, epsilon: float = 1e-3) -> tf.Tensor:
    """As `Kernels.layer_norm`; TensorFlow's gradient takes three times as many operations."""

    @tf.custom_gradient
    def run(x, scale, offset):
        value = tf.cast(x, tf.float32)
        centered = value - tf.reduce_mean(value, -1, keepdims=True)
        variance = tf.reduce_mean(tf.square(centered), -1, keepdims=True)
        inverse = tf.math.rsqrt(variance + epsilon)
        normalized = centered * inverse

        def gradient(upstream):
            upstream = tf.cast(upstream, tf.float32)
            of_scale = upstream * normalized
            of_normalized = upstream * scale
            mean = tf.reduce_mean(of_normalized, -1, keepdims=True)
            along = tf.reduce_mean(of_normalized * normalized, -1, keepdims=True)
            of_x = (of_normalized - mean - normalized * along) * inverse
            rows = list(range(x.shape.rank - 1))
            sums = tf.reduce_sum(of_scale, rows), tf.reduce_sum(upstream, rows)
            return tf.cast(of_x, x.dtype), *sums

        return tf.cast(normalized * scale + offset, x.dtype), gradient

    return run(x, *weights)
