"""Layers as small modules: float32 parameters made in the constructor, computation in `dtype`.

They hold the parameters; `kernels` does the computation. They are our own rather than Keras's
because the CPU kernels need the bare weights. Initialisation is that of DreamerV2: Glorot uniform
kernels, zero biases. Modules that consist of layers pass on `**made`: `rng`, `dtype`, `kernels`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from dreamerv2.nets.kernels import PLAIN, Activation, Kernels, Weights


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


class Layer(tf.Module):
    """Kernel and bias.

    Args:
        shape: of the kernel.
        units: channels of the output.
        rng: NumPy's generator that draws the kernel.
        dtype: of the computation.
        kernels: how it is computed.
    """

    def __init__(
        self, shape: tuple[int, ...], units: int, *, rng, dtype: tf.DType, kernels: Kernels = PLAIN
    ):
        super().__init__()
        self.dtype, self._kernels = dtype, kernels
        self.kernel = tf.Variable(glorot_uniform(rng, shape))
        self.bias = tf.Variable(tf.zeros([units]))

    def weights(self) -> Weights:
        """Kernel and bias `[units]` in the computation's type."""
        return self._kernels.weights(self.kernel, self.bias, self.dtype)


class Dense(Layer):
    """Fully connected, `[..., inputs]` to `act` of `[..., units]`; kernel `[inputs, units]`."""

    def __init__(self, inputs: int, units: int, **made: Any):
        super().__init__((inputs, units), units, **made)

    def __call__(self, x: tf.Tensor, act: Activation = tf.identity) -> tf.Tensor:
        return self._kernels.linear(tf.cast(x, self.dtype), self.weights(), act)


class Conv(Layer):
    """Convolution with stride 2 and no padding, `[N, H, W, inputs]` to `[N, H', W', units]`.

    `H' = (H - size) // 2 + 1`; the kernel is `[size, size, inputs, units]`.
    """

    def __init__(self, inputs: int, units: int, size: int, **made: Any):
        super().__init__((size, size, inputs, units), units, **made)
        self.size = size

    def __call__(self, x: tf.Tensor, act: Activation = tf.identity) -> tf.Tensor:
        return self._kernels.conv(x, self.weights(), act)


class ConvTranspose(Layer):
    """Transposed convolution with stride 2 and no padding.

    `[N, H, W, inputs]` to `[N, 2 (H - 1) + size, 2 (W - 1) + size, units]`; the kernel is
    `[size, size, units, inputs]`.
    """

    def __init__(self, inputs: int, units: int, size: int, **made: Any):
        super().__init__((size, size, units, inputs), units, **made)
        self.size = size

    def __call__(self, x: tf.Tensor, act: Activation = tf.identity) -> tf.Tensor:
        return self._kernels.conv_transpose(x, self.weights(), act)


class LayerNorm(tf.Module):
    """Layer normalisation over the last axis in float32, epsilon 1e-3 as in DreamerV2."""

    def __init__(self, units: int, *, kernels: Kernels = PLAIN):
        super().__init__()
        self._kernels = kernels
        self.scale = tf.Variable(tf.ones([units]))
        self.offset = tf.Variable(tf.zeros([units]))

    def weights(self) -> Weights:
        return tf.convert_to_tensor(self.scale), tf.convert_to_tensor(self.offset)

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        return self._kernels.layer_norm(x, self.weights())


def make_norm(name: str, units: int, *, kernels: Kernels = PLAIN, **_: Any) -> LayerNorm | None:
    """Normalisation by its configuration name: `none` or `layer`."""
    return LayerNorm(units, kernels=kernels) if name == 'layer' else None


def normed(
    layer: Callable[..., tf.Tensor], norm: LayerNorm | None, act: Activation, x: tf.Tensor
) -> tf.Tensor:
    """`act` of the layer's output, normalised if there is a norm; if not, both fuse."""
    return act(norm(layer(x))) if norm else layer(x, act)


def named(name: str, layer: tf.Module | None) -> dict[str, tf.Variable]:
    """Parameters of one layer under `name/`: kernel and bias, or scale and offset."""
    if layer is None:
        return {}
    keys = ('kernel', 'bias') if isinstance(layer, Layer) else ('scale', 'offset')
    return {f'{name}/{key}': getattr(layer, key) for key in keys}


def stacked(name: str, layers: list, norms: list) -> dict[str, tf.Variable]:
    """Parameters of layers `name0`, `name1`, ... and of the norms behind them."""
    found = {}
    for index, (layer, norm) in enumerate(zip(layers, norms, strict=True)):
        found.update({**named(f'{name}{index}', layer), **named(f'{name}{index}_norm', norm)})
    return found
