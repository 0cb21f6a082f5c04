"""How the networks are computed: here plainly, by their formulas.

Every network gets a `Kernels` in its constructor. This one uses TensorFlow's own operations and
gradients, the whole batch at once and a loop over time; `nets.cpu.CpuKernels` computes the same
numbers, up to rounding, faster on a CPU. Nothing else depends on which is used.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import tensorflow as tf

from dreamerv2.nets.scan import Step, Structure, scan

if TYPE_CHECKING:
    from dreamerv2.nets.coders import Decoder, Encoder
    from dreamerv2.nets.rssm import RSSM, State

Weights = tuple[tf.Tensor, tf.Tensor]  # Kernel and bias, or scale and offset.
Activation = Callable[[tf.Tensor], tf.Tensor]


class Kernels:
    """Plain kernels: each method is its formula.

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
