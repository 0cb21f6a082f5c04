"""Convolutions against TensorFlow's own operations."""

import numpy as np
import pytest
import tensorflow as tf

from dreamerv2.nets.cpu import CpuKernels
from dreamerv2.nets.cpu.convolutions import (
    can_pair,
    conv_pair,
    convolve,
    convolve_padded,
    depth_to_space,
    padded,
    space_to_depth,
)
from dreamerv2.nets.layers import PLAIN, Conv
from tests.nets.comparison import assert_same


@pytest.mark.parametrize('size', [1, 2, 3])
@pytest.mark.parametrize('side', [5, 6, 9, 15])  # Few and many positions.
@pytest.mark.parametrize('between_zeros', [False, True])
@pytest.mark.parametrize('dtype', [tf.float32, tf.float64])  # Only the latter by taps.
def test_stride_1_has_the_gradients_of_tensorflows(size, side, between_zeros, dtype):
    rng = np.random.default_rng(size + side)
    shapes = (2, side, side, 6), (size, size, 6, 8), (4,)
    x, kernel, bias = sources = [tf.constant(rng.normal(size=s), dtype) for s in shapes]
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(sources)
        ours = (convolve_padded if between_zeros else convolve)(x, kernel, bias, tf.nn.elu)
        seen = padded(x, size - 1) if between_zeros else x
        reference = tf.nn.elu(tf.nn.conv2d(seen, kernel, 1, 'VALID') + tf.tile(bias, [2]))
        losses = tf.reduce_sum(ours**2), tf.reduce_sum(reference**2)
    np.testing.assert_allclose(ours, reference, rtol=1e-4, atol=1e-5)
    for source in sources:
        first, second = (tape.gradient(loss, source) for loss in losses)
        np.testing.assert_allclose(first, second, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(('height', 'width', 'block'), [(4, 8, 2), (8, 4, 4), (6, 9, 3)])
def test_blocks_of_pixels_are_those_of_tensorflow(height, width, block):
    x = tf.random.stateless_normal([2, height, width, block**2 * 3], [1, 2])
    np.testing.assert_array_equal(space_to_depth(x, block), tf.nn.space_to_depth(x, block))
    np.testing.assert_array_equal(depth_to_space(x, block), tf.nn.depth_to_space(x, block))


@pytest.mark.parametrize(
    ('size', 'side', 'inputs'),
    [(4, 64, 1), (4, 64, 3), (4, 31, 8), (4, 6, 8), (4, 5, 2), (3, 9, 1)],
)
@pytest.mark.parametrize(
    'dtype', [tf.float32, tf.float64]
)  # Other than 3 inputs only the latter in blocks.
@pytest.mark.parametrize('kernels', [PLAIN, CpuKernels()], ids=['plain', 'cpu'])
def test_conv_equals_tensorflows(size, side, inputs, dtype, kernels):
    rng = np.random.default_rng(size + side)
    layer = Conv(inputs, 5, size, rng=rng, dtype=dtype, kernels=kernels)
    layer.bias.assign(rng.normal(size=5))
    x = tf.constant(rng.normal(size=(2, side, side, inputs)), dtype)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        ours = layer(x)
        kernel, bias = layer.weights()
        reference = tf.nn.conv2d(x, kernel, 2, 'VALID') + bias
        losses = tf.reduce_sum(ours**2), tf.reduce_sum(reference**2)
    np.testing.assert_allclose(ours, reference, rtol=1e-4, atol=1e-5)
    for source in (x, layer.kernel, layer.bias):
        first, second = (tape.gradient(loss, source) for loss in losses)
        np.testing.assert_allclose(first, second, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(('side', 'inputs'), [(64, 1), (64, 3), (16, 2), (32, 4)])
def test_two_convolutions_in_blocks_equal_one_after_the_other(side, inputs):
    rng = np.random.default_rng(side + inputs)
    layers = [Conv(i, u, 4, rng=rng, dtype=tf.float32) for i, u in ((inputs, 5), (5, 7))]
    for layer in layers:
        layer.bias.assign(rng.normal(size=layer.bias.shape))
    x = tf.constant(rng.normal(size=(2, side, side, inputs)), tf.float32)
    assert can_pair(*layers, x) == (inputs != 3)  # in float32, where blocks of colors do not pay
    assert_same(
        lambda x: conv_pair(*layers, x, tf.nn.elu, tf.identity),
        lambda x: layers[1](tf.nn.elu(layers[0](x))),
        x,
        layers,
    )


def test_convolutions_that_do_not_fit_blocks_are_not_paired():
    rng = np.random.default_rng(0)
    four, three = (Conv(2, 2, size, rng=rng, dtype=tf.float32) for size in (4, 3))
    assert not can_pair(four, four, tf.zeros([1, 62, 64, 2]))
    assert not can_pair(three, four, tf.zeros([1, 64, 64, 2]))
