"""Transposed convolutions against TensorFlow's own operation."""

import numpy as np
import pytest
import tensorflow as tf

from dreamerv2.nets.cpu import CpuKernels
from dreamerv2.nets.cpu.convolutions import can_pair_transposed, conv_transpose_pair
from dreamerv2.nets.layers import PLAIN, ConvTranspose
from tests.nets.comparison import assert_same


@pytest.mark.parametrize(('size', 'side'), [(5, 1), (5, 5), (6, 13), (3, 4), (4, 7), (6, 1)])
@pytest.mark.parametrize('dtype', [tf.float32, tf.float64])  # Odd kernels have ways of their own.
@pytest.mark.parametrize('kernels', [PLAIN, CpuKernels()], ids=['plain', 'cpu'])
def test_conv_transpose_equals_tensorflows(size, side, dtype, kernels):
    rng = np.random.default_rng(size + side)
    layer = ConvTranspose(6, 3, size, rng=rng, dtype=dtype, kernels=kernels)
    layer.bias.assign(rng.normal(size=3))
    x = tf.constant(rng.normal(size=(2, side, side, 6)), dtype)
    out = 2 * (side - 1) + size
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        ours = layer(x)
        kernel, bias = layer.weights()
        reference = tf.nn.conv2d_transpose(x, kernel, [2, out, out, 3], 2, 'VALID') + bias
        losses = tf.reduce_sum(ours**2), tf.reduce_sum(reference**2)
    np.testing.assert_allclose(ours, reference, rtol=1e-4, atol=1e-5)
    for source in (x, layer.kernel, layer.bias):
        first, second = (tape.gradient(loss, source) for loss in losses)
        np.testing.assert_allclose(first, second, rtol=1e-4, atol=1e-3)


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
