"""Layers against TensorFlow's own operations."""

import numpy as np
import pytest
import tensorflow as tf

from dreamerv2.nets.layers import (
    Conv,
    ConvTranspose,
    Dense,
    LayerNorm,
    activation,
    glorot_uniform,
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


def test_dense_works_on_any_number_of_axes():
    layer = Dense(4, 3, rng=np.random.default_rng(0), dtype=tf.float32)
    x = tf.constant(np.random.default_rng(1).normal(size=(2, 5, 4)), tf.float32)
    np.testing.assert_allclose(layer(x), x @ layer.kernel + layer.bias, rtol=1e-5, atol=1e-6)


def test_dense_computes_in_its_type_and_keeps_float32_weights():
    layer = Dense(4, 3, rng=np.random.default_rng(0), dtype=tf.bfloat16)
    assert layer(tf.ones([2, 4])).dtype == tf.bfloat16
    assert layer.kernel.dtype == tf.float32


def test_layer_norm_normalises_with_epsilon_1e_3():
    x = np.random.default_rng(0).normal(3, 0.05, (4, 8)).astype(np.float32)
    expected = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-3)
    np.testing.assert_allclose(LayerNorm(8)(tf.constant(x)), expected, rtol=1e-3, atol=1e-4)


def test_glorot_uniform_has_the_variance_of_its_fans():
    kernel = glorot_uniform(np.random.default_rng(0), (4, 4, 30, 50))
    np.testing.assert_allclose(kernel.var(), 2 / (16 * 80), rtol=0.05)


def test_mish_is_x_times_tanh_of_softplus():
    x = tf.linspace(-3.0, 3.0, 7)
    np.testing.assert_allclose(activation('mish')(x), x * np.tanh(np.log1p(np.exp(x))), rtol=1e-5)
