"""Gradients by hand against those of the formulas."""

import numpy as np
import pytest
import tensorflow as tf

from dreamerv2.nets.gradients import forked, sum_of_rows


@pytest.mark.parametrize('number', [1, 2, 3, 4])
def test_a_forked_tensor_has_the_sum_of_its_gradients(number):
    x = tf.Variable([[1.0, 2.0], [3.0, 4.0]])
    with tf.GradientTape() as tape:
        copies = forked(tf.convert_to_tensor(x), number)
        losses = [(index + 1) * tf.reduce_sum(copy**2) for index, copy in enumerate(copies)]
        loss = tf.reduce_sum(losses)
    assert len(copies) == number
    for copy in copies:
        np.testing.assert_array_equal(copy, x)
    factor = number * (number + 1)
    np.testing.assert_allclose(tape.gradient(loss, x), factor * x.numpy(), rtol=1e-6)


@pytest.mark.parametrize('dtype', [tf.float32, tf.bfloat16, tf.float16])
def test_rows_are_summed_in_float32(dtype):
    rows = tf.cast(tf.random.stateless_uniform([3000, 2, 5], [1, 2]), dtype)
    exact = np.asarray(tf.cast(rows, tf.float64)).sum((0, 1))
    np.testing.assert_allclose(tf.cast(sum_of_rows(rows), tf.float64), exact, rtol=0.004)
