"""Transposed convolutions with stride 2 and no padding, each in its fastest equivalent form.

They compute `Kernels.conv_transpose`, TensorFlow's `conv2d_transpose`, which multiplies mostly
zeros. Blocks of pixels as channels (see `convolutions`) turn it into a stride-1 convolution.
"""

from __future__ import annotations

import tensorflow as tf

from dreamerv2.nets.cpu.convolutions import (
    blocked_kernel,
    correlation,
    depth_to_space,
    gradient_of_kernel,
    quadrupled_kernel,
    strided,
    turned,
    valid,
)
from dreamerv2.nets.cpu.gradients import affine
from dreamerv2.nets.kernels import Activation, Weights
from dreamerv2.nets.layers import ConvTranspose


def conv_transpose(x: tf.Tensor, weights: Weights, act: Activation = tf.identity) -> tf.Tensor:
    """As `Kernels.conv_transpose`: as an equivalent stride-1 convolution and depth-to-space.

    The pixels of each of the four parities are an ordinary convolution of the input with every
    other tap of the kernel. An odd kernel is padded by a row and a column of zeros; in float32 the
    plain operation is faster. Bias and `act` come before the depth-to-space, so that they fuse with
    the convolution.
    """
    kernel, bias = weights
    size, _, units, inputs = kernel.shape
    height, width = x.shape[1:3]
    if height == width == 1:  # It is a matrix product.
        flat = tf.reshape(kernel, [-1, inputs]), tf.tile(bias, [size**2])
        out = affine(to_all_pixels, to_all_pixels_gradients, x[:, 0, 0], flat, act)
        return tf.reshape(out, [-1, size, size, units])
    if size % 2 and kernel.dtype == tf.float32:
        return affine(spread, spread_gradients, x, weights, act)
    out = depth_to_space(blocks(x, weights, act), 2)
    sides = [2 * (side - 1) + size for side in (height, width)]
    # The gradient of a slice by size is padding, that of a slice by index far slower.
    return tf.slice(out, [0, 0, 0, 0], [-1, *sides, units])


def blocks(x: tf.Tensor, weights: Weights, act: Activation) -> tf.Tensor:
    """The output with 2x2 pixels as channels; odd sides have an extra row and column."""
    kernel, bias = weights
    return convolve_padded(x, subpixel_kernel(kernel), bias, act)


def to_all_pixels(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """`x [N, inputs]` times the kernel `[outputs, inputs]`, without transposing it."""
    return tf.matmul(x, kernel, transpose_b=True)


def to_all_pixels_gradients(
    x: tf.Tensor, kernel: tf.Tensor, upstream: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Gradients of `x` and of the kernel in `to_all_pixels(x, kernel)`."""
    return tf.matmul(upstream, kernel), tf.matmul(upstream, x, transpose_a=True)


def spread(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """The transposed convolution of `x [N, H, W, C]` with stride 2 and no padding."""
    size, _, units, _ = kernel.shape
    sides = [2 * (side - 1) + size for side in x.shape[1:3]]
    return tf.nn.conv2d_transpose(x, kernel, [tf.shape(x)[0], *sides, units], 2, 'VALID')


def spread_gradients(
    x: tf.Tensor, kernel: tf.Tensor, upstream: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Gradients of image and kernel in `spread(x, kernel)`, given that of the result."""
    return strided(upstream, kernel), correlation(upstream, x, kernel.shape[0], 2)


def convolve_padded(x: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor, act: Activation) -> tf.Tensor:
    """As `convolve`, with `x` padded by as many zeros as the kernel reaches beyond it.

    The backward pass skips the zeros, which are up to half of the forward pass.
    """
    bias = tf.tile(bias, [kernel.shape[3] // bias.shape[0]])

    def product(x, kernel):
        return valid(padded(x, kernel.shape[0] - 1), kernel)

    def gradients(x, kernel, upstream):
        of_x = valid(upstream, turned(kernel))
        return of_x, turned(gradient_of_kernel(upstream, x))

    return affine(product, gradients, x, (kernel, bias), act)


def padded(x: tf.Tensor, pixels: int) -> tf.Tensor:
    """`x [N, H, W, C]` padded with zeros."""
    return tf.pad(x, [[0, 0], [pixels, pixels], [pixels, pixels], [0, 0]])


def can_pair_transposed(first: ConvTranspose, second: ConvTranspose, x: tf.Tensor) -> bool:
    """Whether `conv_transpose_pair` computes these two layers on `x [N, H, W, inputs]`."""
    return first.size % 2 == 0 and second.size == 6 and max(x.shape[1:3]) > 1


def conv_transpose_pair(
    first: ConvTranspose, second: ConvTranspose, x: tf.Tensor, act: Activation
) -> tf.Tensor:
    """`second(act(first(x)))`, with the pixels in between kept as channels of 2x2 blocks.

    `act` is elementwise. Blocks of 4x4 pixels are rearranged at the end.
    """
    x = blocks(x, first.weights(), act)
    kernel, bias = second.weights()
    units = bias.shape[0]
    kernel = quadrupled_kernel(subpixel_kernel(kernel), 1, 4)
    # From row and column of the block, then of the parity, to row, then column.
    shape = kernel.shape
    kernel = tf.transpose(tf.reshape(kernel, [-1, 2, 2, 2, 2, units]), [0, 1, 3, 2, 4, 5])
    kernel = blocked_kernel(tf.reshape(kernel, shape), 2)
    return depth_to_space(convolve_padded(x, kernel, bias, tf.identity), 4)


def subpixel_kernel(kernel: tf.Tensor) -> tf.Tensor:
    """Regroups a transposed convolution's kernel `[size, size, units, inputs]` by output parity.

    Returns `[taps, taps, inputs, 4 units]` with `taps = ceil(size / 2)`; the last
    axis is ordered as depth-to-space expects.
    """
    size, _, units, inputs = kernel.shape
    taps = (size + 1) // 2
    odd = 2 * taps - size
    kernel = tf.pad(kernel, [[0, odd], [0, odd], [0, 0], [0, 0]])
    kernel = tf.reshape(kernel, [taps, 2, taps, 2, units, inputs])
    kernel = tf.reverse(tf.transpose(kernel, [0, 2, 5, 1, 3, 4]), [0, 1])
    return tf.reshape(kernel, [taps, taps, inputs, 4 * units])
