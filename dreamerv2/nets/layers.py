"""Layers as small modules: float32 parameters made in the constructor, computation in `dtype`.

They are our own rather than Keras's because the recurrent model needs the bare kernels: cast once
per update, outside the time loop, and differentiated outside of it (see `rssm`).
Initialisation is that of DreamerV2: Glorot uniform kernels, zero biases.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf

from dreamerv2.nets.gradients import Activation, Weights, affine, matmul_gradients


def activation(name: str) -> Activation:
    """Activation function by its configuration name: `none`, `mish`, or any unary of `tf.nn`."""
    if name == 'none':
        return tf.identity
    if name == 'mish':
        return lambda x: x * tf.tanh(tf.nn.softplus(x))
    return getattr(tf.nn, name, None) or getattr(tf, name)


def glorot_uniform(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Draws a kernel whose last two axes are channels and whose others are the receptive field."""
    receptive_field = math.prod(shape[:-2])
    limit = math.sqrt(6 / (receptive_field * (shape[-2] + shape[-1])))
    return rng.uniform(-limit, limit, shape).astype(np.float32)


def linear(weights: Weights, x: tf.Tensor, act: Activation = tf.identity) -> tf.Tensor:
    """`act` of `x [..., in]` times the kernel `[in, out]` plus the bias `[out]`.

    Kernel and bias are in the computation's type already.
    """
    if x.shape.rank == 2:
        return affine(tf.matmul, matmul_gradients, x, weights, act)
    units = weights[0].shape[-1]
    flat = linear(weights, tf.reshape(x, [-1, x.shape[-1]]), act)
    shape = tf.concat([tf.shape(x)[:-1], [units]], 0)
    return tf.ensure_shape(tf.reshape(flat, shape), [*x.shape[:-1], units])


@contextlib.contextmanager
def held_weights(*modules: tf.Module) -> Iterator[None]:
    """Inside, the modules' dense layers use weights that were read and cast on entering.

    Around a loop: what is read and cast inside its body is so at every step.
    """
    layers = [m for module in modules for m in (module, *module.submodules) if type(m) is Dense]
    for layer in layers:
        layer.held = layer.weights()
    try:
        yield
    finally:
        for layer in layers:
            layer.held = None


class Dense(tf.Module):
    """Fully connected layer, `[..., inputs]` to `[..., units]`."""

    def __init__(self, inputs: int, units: int, *, rng: np.random.Generator, dtype: tf.DType):
        super().__init__()
        self.dtype = dtype
        self.kernel = tf.Variable(glorot_uniform(rng, (inputs, units)))
        self.bias = tf.Variable(tf.zeros([units]))
        self.held: Weights | None = None

    def weights(self) -> Weights:
        """Kernel `[inputs, units]` and bias `[units]` in the computation's type."""
        if self.held is not None:
            return self.held
        return tf.cast(self.kernel, self.dtype), tf.cast(self.bias, self.dtype)

    def __call__(self, x: tf.Tensor, act: Activation = tf.identity) -> tf.Tensor:
        """The layer's output under the elementwise function `act`."""
        return linear(self.weights(), tf.cast(x, self.dtype), act)


class LayerNorm(tf.Module):
    """Layer normalisation over the last axis in float32, epsilon 1e-3 as in DreamerV2."""

    def __init__(self, units: int):
        super().__init__()
        self.scale = tf.Variable(tf.ones([units]))
        self.offset = tf.Variable(tf.zeros([units]))

    def weights(self) -> Weights:
        return tf.convert_to_tensor(self.scale), tf.convert_to_tensor(self.offset)

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        return layer_norm(self.weights(), x)


def layer_norm(weights: Weights, x: tf.Tensor, epsilon: float = 1e-3) -> tf.Tensor:
    """Normalises `x [..., units]` in float32 and returns it in its own type.

    The way back is written out: TensorFlow's takes three times as many operations.
    """

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


def normed(
    layer: Callable[..., tf.Tensor], norm: LayerNorm | None, act: Activation, x: tf.Tensor
) -> tf.Tensor:
    """`act` of the layer's output, normalised if there is a norm; else layer and `act` fuse."""
    return act(norm(layer(x))) if norm else layer(x, act)


def make_norm(name: str, units: int) -> LayerNorm | None:
    """Normalisation by its configuration name: `none` or `layer`."""
    return LayerNorm(units) if name == 'layer' else None
