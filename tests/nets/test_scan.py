"""The loop over time against a plain loop."""

import numpy as np
import tensorflow as tf

from dreamerv2.nets.scan import scan


def test_scan_equals_a_plain_loop_with_gradients():
    inputs = tf.constant(np.random.default_rng(0).normal(size=(5, 3)), tf.float32)
    weight = tf.constant(0.7)

    def step(carry, now):
        carry = tf.tanh(weight * carry + now['x'])
        return carry, {'square': carry**2, 'same': carry}

    def plain():
        carry, outputs = tf.zeros(3), []
        for x in tf.unstack(inputs):
            carry, output = step(carry, {'x': x})
            outputs.append(output['square'])
        return tf.stack(outputs)

    with tf.GradientTape(persistent=True) as tape:
        tape.watch([inputs, weight])
        last, outputs = scan(step, tf.zeros(3), {'x': inputs})
        expected = plain()
    np.testing.assert_allclose(outputs['square'], expected, rtol=1e-5)
    np.testing.assert_allclose(outputs['same'][-1], last, rtol=1e-6)
    for source in (inputs, weight):
        np.testing.assert_allclose(
            tape.gradient(outputs['square'], source), tape.gradient(expected, source), rtol=1e-4
        )


def test_scan_goes_backwards_and_keeps_the_order_of_what_it_returns():
    inputs = tf.constant([1.0, 2.0, 4.0])
    last, outputs = scan(lambda carry, x: (carry + x, carry), tf.zeros([]), inputs, backwards=True)
    assert last == 7
    np.testing.assert_array_equal(outputs, [6, 4, 0])
