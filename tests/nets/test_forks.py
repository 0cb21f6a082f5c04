"""A tensor used in several places has the sum of their gradients."""

import numpy as np
import pytest
import tensorflow as tf

from dreamerv2.nets.scan import forked


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
