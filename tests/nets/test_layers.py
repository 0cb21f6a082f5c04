"""Layers against TensorFlow's own operations."""

import numpy as np
import pytest
import tensorflow as tf

from dreamerv2.nets.cpu import CpuKernels
from dreamerv2.nets.layers import PLAIN, Dense, LayerNorm, activation, glorot_uniform

both_kernels = pytest.mark.parametrize('kernels', [PLAIN, CpuKernels()], ids=['plain', 'cpu'])


@both_kernels
def test_dense_works_on_any_number_of_axes(kernels):
    layer = Dense(4, 3, rng=np.random.default_rng(0), dtype=tf.float32, kernels=kernels)
    x = tf.constant(np.random.default_rng(1).normal(size=(2, 5, 4)), tf.float32)
    np.testing.assert_allclose(layer(x), x @ layer.kernel + layer.bias, rtol=1e-5, atol=1e-6)


@both_kernels
@pytest.mark.parametrize('act', ['none', 'elu', 'mish'])
def test_dense_has_the_gradients_of_its_formula(act, kernels):
    rng = np.random.default_rng(0)
    layer = Dense(4, 3, rng=rng, dtype=tf.float32, kernels=kernels)
    act = activation(act)
    layer.bias.assign(rng.normal(size=3))
    x = tf.constant(rng.normal(size=(2, 5, 4)), tf.float32)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        losses = (
            tf.reduce_sum(layer(x, act) ** 2),
            tf.reduce_sum(act(x @ layer.kernel + layer.bias) ** 2),
        )
    for source in (x, layer.kernel, layer.bias):
        ours, expected = (tape.gradient(loss, source) for loss in losses)
        np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-5)


@both_kernels
def test_dense_computes_in_its_type_and_keeps_float32_weights(kernels):
    layer = Dense(4, 3, rng=np.random.default_rng(0), dtype=tf.bfloat16, kernels=kernels)
    assert layer(tf.ones([2, 4])).dtype == tf.bfloat16
    assert layer.kernel.dtype == tf.float32


@both_kernels
def test_layer_norm_normalises_with_epsilon_1e_3(kernels):
    x = np.random.default_rng(0).normal(3, 0.05, (4, 8)).astype(np.float32)
    expected = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-3)
    norm = LayerNorm(8, kernels=kernels)
    np.testing.assert_allclose(norm(tf.constant(x)), expected, rtol=1e-3, atol=1e-4)


def test_glorot_uniform_has_the_variance_of_its_fans():
    kernel = glorot_uniform(np.random.default_rng(0), (4, 4, 30, 50))
    np.testing.assert_allclose(kernel.var(), 2 / (16 * 80), rtol=0.05)


def test_mish_is_x_times_tanh_of_softplus():
    x = tf.linspace(-3.0, 3.0, 7)
    np.testing.assert_allclose(activation('mish')(x), x * np.tanh(np.log1p(np.exp(x))), rtol=1e-5)
