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

Weights = tuple[tf.Tensor, tf.Tensor]


def activation(name: str) -> Callable[[tf.Tensor], tf.Tensor]:
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


def linear(weights: Weights, x: tf.Tensor) -> tf.Tensor:
    """`x [..., in]` times the kernel `[in, out]` plus the bias `[out]`, both cast already."""
    kernel, bias = weights
    if x.shape.rank == 2:
        return tf.nn.bias_add(tf.matmul(x, kernel), bias)
    flat = tf.matmul(tf.reshape(x, [-1, x.shape[-1]]), kernel)
    shape = tf.concat([tf.shape(x)[:-1], [kernel.shape[-1]]], 0)
    return tf.ensure_shape(
        tf.reshape(tf.nn.bias_add(flat, bias), shape), x.shape[:-1] + kernel.shape[-1:]
    )


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

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        return linear(self.weights(), tf.cast(x, self.dtype))


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
    """Normalises `x [..., units]` in float32 and returns it in its own type."""
    scale, offset = weights
    value = tf.cast(x, tf.float32)
    centered = value - tf.reduce_mean(value, -1, keepdims=True)
    variance = tf.reduce_mean(tf.square(centered), -1, keepdims=True)
    return tf.cast(centered * tf.math.rsqrt(variance + epsilon) * scale + offset, x.dtype)


def make_norm(name: str, units: int) -> LayerNorm | None:
    """Normalisation by its configuration name: `none` or `layer`."""
    return LayerNorm(units) if name == 'layer' else None


FEW_POSITIONS = 4  # Up to this many output pixels a convolution is faster as a matrix product.


class Conv(tf.Module):
    """Convolution with stride 2 and no padding, `[N, H, W, inputs]` to `[N, H', W', units]`.

    Computed in whichever of three equal ways is fastest for the sizes.
    """

    def __init__(
        self, inputs: int, units: int, size: int, *, rng: np.random.Generator, dtype: tf.DType
    ):
        super().__init__()
        self.dtype = dtype
        self.kernel = tf.Variable(glorot_uniform(rng, (size, size, inputs, units)))
        self.bias = tf.Variable(tf.zeros([units]))

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        kernel, bias = tf.cast(self.kernel, self.dtype), tf.cast(self.bias, self.dtype)
        size, _, inputs, units = kernel.shape
        height, width = ((side - size) // 2 + 1 for side in x.shape[1:3])
        if height * width <= FEW_POSITIONS:
            rows = tf.reshape(windows(x, size, height, width), [-1, size * size * inputs])
            out = tf.nn.bias_add(tf.matmul(rows, tf.reshape(kernel, [-1, units])), bias)
            return tf.reshape(out, [-1, height, width, units])
        if size % 2 == 0:
            # Four pixels side by side as channels: a stride-1 convolution with half the size.
            half = size // 2
            seen = [2 * (side - 1) + size for side in (height, width)]
            x = x if seen == x.shape[1:3] else tf.slice(x, [0, 0, 0, 0], [-1, *seen, -1])
            kernel = tf.reshape(kernel, [half, 2, half, 2, inputs, units])
            kernel = tf.transpose(kernel, [0, 2, 1, 3, 4, 5])
            kernel = tf.reshape(kernel, [half, half, 4 * inputs, units])
            x = tf.nn.space_to_depth(x, 2)
            return tf.nn.bias_add(tf.nn.conv2d(x, kernel, 1, 'VALID'), bias)
        return tf.nn.bias_add(tf.nn.conv2d(x, kernel, 2, 'VALID'), bias)


def windows(x: tf.Tensor, size: int, height: int, width: int) -> tf.Tensor:
    """Windows of a stride-2 convolution side by side, `[N, height * width, size, size, inputs]`."""
    corners = [(2 * i, 2 * j) for i in range(height) for j in range(width)]
    cuts = [tf.slice(x, [0, i, j, 0], [-1, size, size, -1]) for i, j in corners]
    return tf.stack(cuts, 1)


class ConvTranspose(tf.Module):
    """Transposed convolution with stride 2 and no padding.

    `[N, H, W, inputs]` to `[N, 2 (H - 1) + size, 2 (W - 1) + size, units]`, kernel
    `[size, size, units, inputs]`. Computed as the stride-1 convolution with a regrouped kernel and
    a depth-to-space that it equals: the pixels of each of the four parities are an ordinary
    convolution of the input with every other tap of the kernel.
    """

    def __init__(
        self, inputs: int, units: int, size: int, *, rng: np.random.Generator, dtype: tf.DType
    ):
        super().__init__()
        self.dtype = dtype
        self.size = size
        self.kernel = tf.Variable(glorot_uniform(rng, (size, size, units, inputs)))
        self.bias = tf.Variable(tf.zeros([units]))

    def __call__(
        self, x: tf.Tensor, act: Callable[[tf.Tensor], tf.Tensor] = tf.identity
    ) -> tf.Tensor:
        """The layer's output under the elementwise function `act`.

        Bias and `act` come before the depth-to-space, where they fuse with the convolution.
        """
        kernel, bias = tf.cast(self.kernel, self.dtype), tf.cast(self.bias, self.dtype)
        units, inputs = kernel.shape[2:]
        height, width = x.shape[1:3]
        if height == width == 1:  # A matrix product in disguise.
            flat = tf.reshape(tf.transpose(kernel, [3, 0, 1, 2]), [inputs, -1])
            out = tf.matmul(x[:, 0, 0], flat)
            out = act(tf.nn.bias_add(out, tf.tile(bias, [self.size**2])))
            return tf.reshape(out, [-1, self.size, self.size, units])
        kernel = subpixel_kernel(kernel)
        pad = [kernel.shape[0] - 1] * 2
        # Padding apart: the CPU's gradient kernels are many times slower with it inside.
        out = tf.nn.conv2d(tf.pad(x, [[0, 0], pad, pad, [0, 0]]), kernel, 1, 'VALID')
        out = act(tf.nn.bias_add(out, tf.tile(bias, [4])))
        out = tf.nn.depth_to_space(out, 2)
        sides = [2 * (side - 1) + self.size for side in (height, width)]
        # The gradient of a slice by size is a padding, that of one by index far slower.
        return tf.slice(out, [0, 0, 0, 0], [-1, *sides, units])


def subpixel_kernel(kernel: tf.Tensor) -> tf.Tensor:
    """Regroups a transposed convolution's kernel `[size, size, units, inputs]` by output parity.

    Returns `[taps, taps, inputs, 4 units]` with `taps = ceil(size / 2)`; the last axis is ordered
    as depth-to-space wants it.
    """
    size, _, units, inputs = kernel.shape
    taps = (size + 1) // 2
    odd = 2 * taps - size
    kernel = tf.pad(kernel, [[0, odd], [0, odd], [0, 0], [0, 0]])
    kernel = tf.reshape(kernel, [taps, 2, taps, 2, units, inputs])
    kernel = tf.reverse(tf.transpose(kernel, [0, 2, 5, 1, 3, 4]), [0, 1])
    return tf.reshape(kernel, [taps, taps, inputs, 4 * units])
