"""Convolutions with stride 2 and no padding and their transposes, in the fastest equivalent form.

They compute `Kernels.conv` and `Kernels.conv_transpose`. TensorFlow's `conv2d` leaves a CPU's
matrix units idle for few channels on many pixels, and `conv2d_transpose` multiplies mostly zeros.
Grouping 2x2 or 4x4 pixels as channels (a block) turns both into stride-1 convolutions, and
consecutive layers can pass on blocks.
"""

from __future__ import annotations

import tensorflow as tf

from dreamerv2.nets.cpu.gradients import affine, linear
from dreamerv2.nets.layers import Activation, Conv, ConvTranspose, Weights, transposed
from dreamerv2.nets.scan import forked

FEW_POSITIONS = 4  # Up to this many output pixels a convolution is faster as a matrix product.
COLORS = 3  # channels
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
    if size % 2 == 0 and (kernel.dtype != tf.float32 or inputs == COLORS):
        # 2x2 pixels as channels: a stride-1 convolution of half the size.
        # In float32 the plain one is faster, but for three channels.
        seen = [2 * (side - 1) + size for side in (height, width)]
        x = x if seen == x.shape[1:3] else tf.slice(x, [0, 0, 0, 0], [-1, *seen, -1])
        return convolve(space_to_depth(x, 2), blocked_kernel(kernel, 2), bias, act)
    return affine(strided, strided_gradients, x, weights, act)


def strided(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """The convolution of `x [N, H, W, C]` with stride 2 and no padding."""
    return tf.nn.conv2d(x, kernel, 2, 'VALID')


def strided_gradients(x, kernel, upstream) -> tuple[tf.Tensor, tf.Tensor]:
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
    height, width, units = upstream.shape[1:]
    # In float32 both are equally fast at full size, and the second at small sizes.
    if height * width > FEW_FOR_GRADIENT or x.dtype == tf.float32:
        return correlation(x, upstream, size, 1)
    rows = tf.reshape(upstream, [-1, units])
    products = []  # One for each of the kernel's taps.
    for i in range(size):
        for j in range(size):
            seen = tf.slice(x, [0, i, j, 0], [-1, height, width, -1])
            seen = tf.reshape(seen, [-1, x.shape[3]])
            products.append(tf.matmul(seen, rows, transpose_a=True))
    return tf.reshape(tf.stack(products), [size, size, x.shape[3], units])


def correlation(x: tf.Tensor, upstream: tf.Tensor, size: int, stride: int) -> tf.Tensor:
    """The gradient of a kernel `[size, size, ...]` without padding, given that of the result."""
    return tf.raw_ops.Conv2DBackpropFilter(
        input=x, filter_sizes=[size, size, x.shape[3], upstream.shape[3]], out_backprop=upstream,
        strides=[1, stride, stride, 1], padding='VALID',
    )  # fmt: skip


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
    """A kernel that computes 2x2 neighbouring outputs, `stride` pixels apart, at once.

    From `[size, size, inputs, units]` to `[reach, reach, inputs, 4 units]`, the outputs from left
    to right and top to bottom; `reach` is at least `size + stride`.
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

    Not for a single image, where regrouping the kernels takes longer than it saves, nor for colors
    in float32, where it multiplies four times as often.
    """
    sides_fit = all(side % 4 == 0 and side >= 16 for side in x.shape[1:3])
    saves = x.shape[0] != 1 and (x.shape[3] != COLORS or x.dtype != tf.float32)
    return first.size == second.size == 4 and sides_fit and saves


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

        def product(x, kernel):
            return tf.matmul(x, kernel, transpose_b=True)

        def gradients(x, kernel, upstream):
            return tf.matmul(upstream, kernel), tf.matmul(upstream, x, transpose_a=True)

        out = affine(product, gradients, x[:, 0, 0], flat, act)
        return tf.reshape(out, [-1, size, size, units])
    if size % 2 and kernel.dtype == tf.float32:
        return affine(transposed, transposed_gradients, x, weights, act)
    out = depth_to_space(convolve_padded(x, subpixel_kernel(kernel), bias, act), 2)
    sides = [2 * (side - 1) + size for side in (height, width)]
    # The gradient of a slice by size is padding, that of a slice by index far slower.
    return tf.slice(out, [0, 0, 0, 0], [-1, *sides, units])


def transposed_gradients(x, kernel, upstream) -> tuple[tf.Tensor, tf.Tensor]:
    """Gradients of image and kernel in `transposed(x, kernel)`, given that of the result."""
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
    kernel, bias = first.weights()
    x = convolve_padded(x, subpixel_kernel(kernel), bias, act)
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
