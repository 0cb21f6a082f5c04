"""Shards of rows side by side against all rows at once."""

import numpy as np
import pytest
import tensorflow as tf

from dreamerv2.nets.cpu.shards import in_shards


def rows(*shape, seed=0):
    return tf.constant(np.random.default_rng(seed).normal(size=shape), tf.float32)


@pytest.mark.parametrize('axis', [0, 1])
def test_structures_come_out_as_without_shards_with_the_same_gradients(axis):
    kernel = tf.Variable(rows(3, 5))
    inputs = {'x': rows(6, 6, 3), 'pair': (rows(6, 6, 5, seed=1),)}
    seen = []

    def function(inputs):
        seen.append(inputs['x'].shape[axis])
        product = tf.tensordot(inputs['x'], kernel, 1) + inputs['pair'][0]
        return {'product': product, 'nested': [tf.square(product)]}

    results = []
    for number in (1, 2, 3):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            found = in_shards(function, inputs, number, axis=axis)
            loss = tf.reduce_sum(found['product'] * tf.sin(found['nested'][0]))
        results.append((found, tape.gradient(loss, (kernel, inputs))))
    assert seen == [6, 3, 3, 2, 2, 2]
    for other in results[1:]:
        tf.nest.map_structure(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5), other, results[0]
        )


@pytest.mark.parametrize(
    ('number', 'least', 'calls'), [(2, 1, 2), (2, 4, 2), (2, 5, 1), (3, 1, 1), (1, 1, 1), (4, 1, 4)]
)
def test_rows_are_split_evenly_or_not_at_all(number, least, calls):
    seen = []

    def function(x):
        seen.append(len(x))
        return 2 * x

    x = rows(8, 2)
    np.testing.assert_array_equal(in_shards(function, x, number, least=least), 2 * x)
    assert seen == [8 // calls] * calls
