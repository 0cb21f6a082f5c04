"""Gradients by hand against those of the formulas."""

import numpy as np
import pytest
import tensorflow as tf

from dreamerv2.nets.cpu import CpuKernels
from dreamerv2.nets.cpu.gradients import layer_norm, sum_of_rows
from dreamerv2.nets.layers import PLAIN, Dense


@pytest.mark.parametrize('dtype', [tf.float32, tf.bfloat16, tf.float16])
def test_rows_are_summed_in_float32(dtype):
    rows = tf.cast(tf.random.stateless_uniform([3000, 2, 5], [1, 2]), dtype)
    exact = np.asarray(tf.cast(rows, tf.float64)).sum((0, 1))
    np.testing.assert_allclose(tf.cast(sum_of_rows(rows), tf.float64), exact, rtol=0.004)


@pytest.mark.parametrize('compiled', [False, True])
def test_a_bias_in_bfloat16_has_its_gradient_added_in_float32(compiled):
    layer = Dense(4, 3, rng=np.random.default_rng(0), dtype=tf.bfloat16, kernels=CpuKernels())
    rows = 20000

    def gradient():
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.cast(layer(tf.ones([rows, 4])), tf.float32))
        return tape.gradient(loss, layer.bias)

    # TensorFlow's own would stop growing at 256, where 1 is too little to be seen.
    found = tf.function(gradient)() if compiled else gradient()
    np.testing.assert_allclose(found, rows, rtol=0.004)


@pytest.mark.parametrize('dtype', [tf.float32, tf.bfloat16])
def test_layer_norm_has_the_gradients_of_its_formula(dtype):
    rng = np.random.default_rng(0)
    x = tf.constant(rng.normal(3, 2, (4, 6, 8)), dtype)
    weights = tuple(tf.constant(rng.normal(size=8), tf.float32) for _ in range(2))
    upstream = tf.constant(rng.normal(size=x.shape), dtype)
    found = []
    for function in (layer_norm, PLAIN.layer_norm):
        with tf.GradientTape() as tape:
            tape.watch((x, weights))
            result = function(x, weights)
        gradients = tape.gradient(result, (x, *weights), output_gradients=upstream)
        found.append([tf.cast(value, tf.float32) for value in (result, *gradients)])
    tolerance = 1e-4 if dtype == tf.float32 else 0.02
    for ours, expected in zip(*found, strict=True):
        np.testing.assert_allclose(ours, expected, rtol=tolerance, atol=tolerance)
