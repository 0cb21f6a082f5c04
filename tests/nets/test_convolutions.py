"""Convolutions against TensorFlow's own operations."""

import numpy as np
import pytest
import tensorflow as tf

from dreamerv2.nets.convolutions import (
    Conv,
    ConvTranspose,
    can_pair,
    can_pair_transposed,
    conv_pair,
    conv_transpose_pair,
    convolve,
    convolve_padded,
    depth_to_space,
    padded,
    space_to_depth,
)


@pytest.mark.parametrize(('size', 'side'), [(5, 1), (5, 5), (6, 13), (3, 4), (4, 7), (6, 1)])
def test_conv_transpose_equals_tensorflows(size, side):
    rng = np.random.default_rng(size + side)
    layer = ConvTranspose(6, 3, size, rng=rng, dtype=tf.float32)
    layer.bias.assign(rng.normal(size=3))
    x = tf.constant(rng.normal(size=(2, side, side, 6)), tf.float32)
    out = 2 * (side - 1) + size
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        ours = layer(x)
        reference = tf.nn.conv2d_transpose(x, layer.kernel, [2, out, out, 3], 2, 'VALID')
        reference += layer.bias
        losses = tf.reduce_sum(ours**2), tf.reduce_sum(reference**2)
    np.testing.assert_allclose(ours, reference, rtol=1e-4, atol=1e-5)
    for source in (x, layer.kernel, layer.bias):
        first, second = (tape.gradient(loss, source) for loss in losses)
        np.testing.assert_allclose(first, second, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize('size', [1, 2, 3])
@pytest.mark.parametrize('side', [5, 6, 9, 15])  # Few and many positions.
@pytest.mark.parametrize('between_zeros', [False, True])
def test_stride_1_has_the_gradients_of_tensorflows(size, side, between_zeros):
    rng = np.random.default_rng(size + side)
    shapes = (2, side, side, 6), (size, size, 6, 8), (4,)
    x, kernel, bias = sources = [tf.constant(rng.normal(size=s), tf.float32) for s in shapes]
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
def test_conv_equals_tensorflows(size, side, inputs):
    rng = np.random.default_rng(size + side)
    layer = Conv(inputs, 5, size, rng=rng, dtype=tf.float32)
    layer.bias.assign(rng.normal(size=5))
    x = tf.constant(rng.normal(size=(2, side, side, inputs)), tf.float32)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        ours = layer(x)
        reference = tf.nn.conv2d(x, layer.kernel, 2, 'VALID') + layer.bias
        losses = tf.reduce_sum(ours**2), tf.reduce_sum(reference**2)
    np.testing.assert_allclose(ours, reference, rtol=1e-4, atol=1e-5)
    for source in (x, layer.kernel, layer.bias):
        first, second = (tape.gradient(loss, source) for loss in losses)
        np.testing.assert_allclose(first, second, rtol=1e-4, atol=1e-3)


def assert_same(ours, reference, x, layers):
    """Both functions of `x` have the same values and gradients."""
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        outputs = ours(x), reference(x)
        losses = [tf.reduce_sum(output**2) for output in outputs]
    np.testing.assert_allclose(*outputs, rtol=1e-4, atol=1e-4)
    for source in [x, *(v for layer in layers for v in (layer.kernel, layer.bias))]:
        first, second = (tape.gradient(loss, source) for loss in losses)
        np.testing.assert_allclose(first, second, rtol=1e-3, atol=1e-4 * np.abs(second).max())


@pytest.mark.parametrize(('side', 'inputs'), [(64, 1), (64, 3), (16, 2), (32, 4)])
def test_two_convolutions_in_blocks_equal_one_after_the_other(side, inputs):
    rng = np.random.default_rng(side + inputs)
    layers = [Conv(i, u, 4, rng=rng, dtype=tf.float32) for i, u in ((inputs, 5), (5, 7))]
    for layer in layers:
        layer.bias.assign(rng.normal(size=layer.bias.shape))
    x = tf.constant(rng.normal(size=(2, side, side, inputs)), tf.float32)
    assert can_pair(*layers, x)
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


@pytest.mark.parametrize(('size', 'side', 'units'), [(6, 13, 1), (6, 13, 3), (4, 5, 2), (2, 4, 1)])
def test_two_transposed_convolutions_in_blocks_equal_one_after_the_other(size, side, units):
    rng = np.random.default_rng(size + side)
    layers = [
        ConvTranspose(i, u, k, rng=rng, dtype=tf.float32)
        for i, u, k in ((6, 4, size), (4, units, 6))
    ]
    for layer in layers:
        layer.bias.assign(rng.normal(size=layer.bias.shape))
    x = tf.constant(rng.normal(size=(2, side, side, 6)), tf.float32)
    assert can_pair_transposed(*layers, x)
    assert_same(
        lambda x: conv_transpose_pair(*layers, x, tf.nn.elu),
        lambda x: layers[1](layers[0](x, tf.nn.elu)),
        x,
        layers,
    )


def test_transposed_convolutions_that_do_not_fit_blocks_are_not_paired():
    rng = np.random.default_rng(0)
    five, six = (ConvTranspose(2, 2, size, rng=rng, dtype=tf.float32) for size in (5, 6))
    x = tf.zeros([1, 5, 5, 2])
    assert not can_pair_transposed(five, six, x)
    assert not can_pair_transposed(six, five, x)
