"""Convolutions with stride 2 and no padding, each in the fastest of several equivalent ways.

They compute `Kernels.conv`, TensorFlow's `conv2d`, which leaves a CPU's matrix units idle for few
channels on many pixels. Grouping 2x2 or 4x4 pixels as channels (a block) turns it into a stride-1
convolution, and consecutive layers can pass on blocks. For the transposes see
`transposed_convolutions`.
"""

from __future__ import annotations

import tensorflow as tf

from dreamerv2.nets.cpu.gradients import affine, linear
from dreamerv2.nets.kernels import Activation, Weights
from dreamerv2.nets.layers import Conv
from dreamerv2.nets.scan import forked

FEW_POSITIONS = 4  # Up to this many output pixels a convolution is faster as a matrix product.
FEW_FOR_GRADIENT = 36  # And up to this many its kernel's gradient, as one product per tap.


def conv(x: tf.Tensor, weights: Weights, act: Activation = tf.identity) -> tf.Tensor:
    """As `Kernels.conv`, in whichever of three equivalent ways is fastest for the sizes."""
    kernel, bias = weights
    size, _, inputs, units = kernel.shape
    height, width = ((side - size) // 2 + 1 for side in x.shape[1:3])
    if height * width <= FEW_POSITIONS:
        rows = tf.reshape(windows(x, size, height, width), [-1, size * size * inputs])
        out = linear(rows, (tf.reshape(kernel, [-1, units]), bias), act)
        return tf.reshape(out, [-1, height, width, units])
    if size % 2 == 0 and kernel.dtype != tf.float32:
        # 2x2 pixels as channels: a stride-1 convolution of half the size.
        # In float32 the plain one is faster.
        seen = [2 * (side - 1) + size for side in (height, width)]
        x = x if seen == x.shape[1:3] else tf.slice(x, [0, 0, 0, 0], [-1, *seen, -1])
        return convolve(space_to_depth(x, 2), blocked_kernel(kernel, 2), bias, act)
    return affine(strided, strided_gradients, x, weights, act)


def strided(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """The convolution of `x [N, H, W, C]` with stride 2 and no padding."""
    return tf.nn.conv2d(x, kernel, 2, 'VALID')


def strided_gradients(
    x: tf.Tensor, kernel: tf.Tensor, upstream: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Gradients of image and kernel in `strided(x, kernel)`, given that of the result."""
    of_x = tf.nn.conv2d_transpose(upstream, kernel, tf.shape(x), 2, 'VALID')
    return of_x, correlation(x, upstream, kernel.shape[0], 2)


def convolve(x: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor, act: Activation) -> tf.Tensor:
    """Stride 1, no padding; the bias is repeated to match the kernel's units."""
    bias = tf.tile(bias, [kernel.shape[3] // bias.shape[0]])

    def gradients(x, kernel, upstream):
        of_x = tf.nn.conv2d_transpose(upstream, kernel, tf.shape(x), 1, 'VALID')
        return of_x, gradient_of_kernel(x, upstream)

    return affine(valid, gradients, x, (kernel, bias), act)


def valid(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """The convolution of `x [N, H, W, C]` with stride 1 and no padding."""
    return tf.nn.conv2d(x, kernel, 1, 'VALID')


def turned(kernel: tf.Tensor) -> tf.Tensor:
    """The kernel of the backward pass: rotated by 180 degrees, inputs and units swapped."""
    return tf.transpose(tf.reverse(kernel, [0, 1]), [0, 1, 3, 2])


def gradient_of_kernel(x: tf.Tensor, upstream: tf.Tensor) -> tf.Tensor:
    """The gradient of the kernel in `valid(x, kernel)`, in the faster of two equivalent ways."""
    size = x.shape[1] - upstream.shape[1] + 1
    few = upstream.shape[1] * upstream.shape[2] <= FEW_FOR_GRADIENT
    # In float32 both are equally fast at full size, and the second at small sizes.
    by_taps = few and x.dtype != tf.float32
    return products_of_taps(x, upstream, size) if by_taps else correlation(x, upstream, size, 1)


def correlation(x: tf.Tensor, upstream: tf.Tensor, size: int, stride: int) -> tf.Tensor:
    """The gradient of a kernel `[size, size, ...]` without padding, given that of the result."""
    return tf.raw_ops.Conv2DBackpropFilter(
        input=x, filter_sizes=[size, size, x.shape[3], upstream.shape[3]], out_backprop=upstream,
        strides=[1, stride, stride, 1], padding='VALID',
    )  # fmt: skip


def products_of_taps(x: tf.Tensor, upstream: tf.Tensor, size: int) -> tf.Tensor:
    """The same for stride 1: a matrix product for each of the kernel's taps."""
    height, width, units = upstream.shape[1:]
    rows = tf.reshape(upstream, [-1, units])
    seen = [
        tf.reshape(tf.slice(x, [0, i, j, 0], [-1, height, width, -1]), [-1, x.shape[3]])
        for i in range(size)
        for j in range(size)
    ]
    products = [tf.matmul(tap, rows, transpose_a=True) for tap in seen]
    return tf.reshape(tf.stack(products), [size, size, x.shape[3], units])


def space_to_depth(x: tf.Tensor, block: int) -> tf.Tensor:
    """`tf.nn.space_to_depth` as a transposition, far faster on a CPU."""
    height, width, channels = x.shape[1:]
    x = tf.reshape(x, [-1, block, width // block, block * channels])
    shape = [-1, height // block, width // block, block**2 * channels]
    return tf.reshape(tf.transpose(x, [0, 2, 1, 3]), shape)


def depth_to_space(x: tf.Tensor, block: int) -> tf.Tensor:
    """`tf.nn.depth_to_space` as a transposition."""
    height, width, channels = x.shape[1:]
    x = tf.reshape(x, [-1, width, block, channels // block])
    shape = [-1, height * block, width * block, channels // block**2]
    return tf.reshape(tf.transpose(x, [0, 2, 1, 3]), shape)


def blocked_kernel(kernel: tf.Tensor, block: int) -> tf.Tensor:
    """A kernel `[size, size, inputs, units]` for an input with `block`² pixels as channels.

    Returns `[size / block, size / block, block² inputs, units]`.
    """
    size, _, inputs, units = kernel.shape
    count = size // block
    kernel = tf.reshape(kernel, [count, block, count, block, inputs, units])
    kernel = tf.transpose(kernel, [0, 2, 1, 3, 4, 5])
    return tf.reshape(kernel, [count, count, block**2 * inputs, units])


def quadrupled_kernel(kernel: tf.Tensor, stride: int, reach: int) -> tf.Tensor:
    """A kernel that computes 2x2 neighbouring outputs at once.

    Args:
        kernel: `[size, size, inputs, units]`.
        stride: pixels from one output to the next.
        reach: pixels that the new kernel spans, at least `size + stride`.

    Returns:
        `[reach, reach, inputs, 4 units]`, the outputs from left to right and top to bottom.
    """
    rest = reach - kernel.shape[0]
    offsets = [(y, x) for y in (0, stride) for x in (0, stride)]
    moved = [
        tf.pad(copy, [[y, rest - y], [x, rest - x], [0, 0], [0, 0]])
        for copy, (y, x) in zip(forked(kernel, 4), offsets, strict=True)
    ]
    kernel = tf.stack(moved, 3)
    return tf.reshape(kernel, [*kernel.shape[:3], -1])


def can_pair(first: Conv, second: Conv, x: tf.Tensor) -> bool:
    """Whether `conv_pair` computes these two layers on images `x [N, H, W, inputs]`.

    Not for a single image, where regrouping the kernels takes longer than it saves.
    """
    sides_fit = all(side % 4 == 0 and side >= 16 for side in x.shape[1:3])
    return first.size == second.size == 4 and sides_fit and x.shape[0] != 1


def conv_pair(
    first: Conv, second: Conv, x: tf.Tensor, act: Activation, last: Activation
) -> tf.Tensor:
    """`last(second(act(first(x))))`, with the pixels in between as channels of 2x2 blocks.

    `act` and `last` are elementwise. The image is read once as blocks of 4x4 pixels.
    """
    kernel, bias = first.weights()
    kernel = blocked_kernel(quadrupled_kernel(kernel, 2, 8), 4)
    x = convolve(space_to_depth(x, 4), kernel, bias, act)
    kernel, bias = second.weights()
    return convolve(x, blocked_kernel(kernel, 2), bias, last)


def windows(x: tf.Tensor, size: int, height: int, width: int) -> tf.Tensor:
    """Windows of a stride-2 convolution side by side, `[N, height * width, size, size, inputs]`."""
    rows = [
        tf.slice(x, [0, 2 * i, 0, 0], [-1, size, -1, -1]) for i, x in enumerate(forked(x, height))
    ]
    cuts = [
        tf.slice(copy, [0, 0, 2 * j, 0], [-1, -1, size, -1])
        for row in rows
        for j, copy in enumerate(forked(row, width))
    ]
    return tf.stack(cuts, 1)
