"""Layers as small modules, and the kernels that compute them.

A layer holds float32 parameters made in the constructor and computes in `dtype`; `Kernels` says
how, here plainly, by the formulas. Layers are our own rather than Keras's because the CPU kernels
need the bare weights. Initialisation is that of DreamerV2: Glorot uniform kernels, zero biases.
Modules that consist of layers pass on `**made`: `rng`, `dtype`, `kernels`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from dreamerv2.nets.scan import Step, Structure, scan

if TYPE_CHECKING:
    from dreamerv2.nets.coders import Decoder, Encoder
    from dreamerv2.nets.rssm import RSSM, State

Weights = tuple[tf.Tensor, tf.Tensor]  # Kernel and bias, or scale and offset.
Activation = Callable[[tf.Tensor], tf.Tensor]


class Kernels:
    """How the networks are computed: here plainly, each method by its formula.

    It uses TensorFlow's own operations and gradients, the whole batch at once and a loop over time;
    `nets.cpu.CpuKernels` computes the same numbers, up to rounding, faster on a CPU. Every network
    gets one in its constructor, and nothing else depends on which.

    In bfloat16 on a CPU, TensorFlow accumulates the gradient of a bias in bfloat16, with errors up
    to its own size; the CPU kernels and XLA accumulate in float32.

    Attributes:
        caller_acts: whether the policy is computed in the caller's thread.
    """

    caller_acts: bool = False

    # Layers

    def weights(self, kernel: tf.Variable, bias: tf.Variable, dtype: tf.DType) -> Weights:
        """Kernel and bias in the computation's type."""
        return tf.cast(kernel, dtype), tf.cast(bias, dtype)

    def linear(self, x: tf.Tensor, weights: Weights, act: Activation = tf.identity) -> tf.Tensor:
        """`act(x @ kernel + bias)` of `x [..., in]` and a kernel `[in, out]`."""
        kernel, bias = weights
        return act(tf.nn.bias_add(tf.tensordot(x, kernel, 1), bias))

    def conv(self, x: tf.Tensor, weights: Weights, act: Activation = tf.identity) -> tf.Tensor:
        """`act` of the convolution with stride 2 and no padding of images `x [N, H, W, in]`.

        Kernel `[size, size, in, out]`; returns `[N, (H - size) // 2 + 1, ..., out]`.
        """
        kernel, bias = weights
        return act(tf.nn.bias_add(tf.nn.conv2d(x, kernel, 2, 'VALID'), bias))

    def conv_transpose(
        self, x: tf.Tensor, weights: Weights, act: Activation = tf.identity
    ) -> tf.Tensor:
        """`act` of the transposed convolution with stride 2 and no padding of `x [N, H, W, in]`.

        Kernel `[size, size, out, in]`; returns `[N, 2 (H - 1) + size, ..., out]`.
        """
        return act(tf.nn.bias_add(transposed(x, weights[0]), weights[1]))

    def layer_norm(self, x: tf.Tensor, weights: Weights, epsilon: float = 1e-3) -> tf.Tensor:
        """Normalises `x [..., units]` in float32 and returns it in its own type.

        (x - mean) / sqrt(variance + epsilon) * scale + offset
        """
        scale, offset = weights
        value = tf.cast(x, tf.float32)
        centered = value - tf.reduce_mean(value, -1, keepdims=True)
        variance = tf.reduce_mean(tf.square(centered), -1, keepdims=True)
        return tf.cast(centered * tf.math.rsqrt(variance + epsilon) * scale + offset, x.dtype)

    # Networks

    def encode(self, encoder: Encoder, images: tf.Tensor) -> tf.Tensor:
        """The encoder's convolutions of images `[N, height, width, channels]`."""
        return encoder.convolve(images)

    def decode(self, decoder: Decoder, features: tf.Tensor) -> tf.Tensor:
        """The decoder's transposed convolutions from features `[N, inputs]` to images."""
        return decoder.deconvolve(features)

    def filter(self, rssm: RSSM, *observed: Any) -> State:
        """Posterior states of a batch of sequences; `observed` as for `RSSM.filter`."""
        return rssm.filter(*observed)

    def roll_out(self, step: Step, carry, steps, rows, modules=(), sharded=False) -> Structure:
        """The outputs `[time, N, ...]` of a `scan` whose rows are independent.

        Args:
            step: as for `scan`, with the entries of `steps` and `rows` merged as its input.
            carry: structure of tensors `[N, ...]`.
            steps, rows: dicts of inputs `[time]`, the same for all rows, and `[time, N, ...]`.
            modules: whose weights the step uses, for kernels that prepare them.
            sharded: whether the rows may be computed in shards.
        """
        return scan(step, carry, {**steps, **rows})[1]


def transposed(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """The transposed convolution of `x [N, H, W, in]` with stride 2 and no padding."""
    size, _, units, _ = kernel.shape
    sides = [2 * (side - 1) + size for side in x.shape[1:3]]
    return tf.nn.conv2d_transpose(x, kernel, [tf.shape(x)[0], *sides, units], 2, 'VALID')


PLAIN = Kernels()


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
