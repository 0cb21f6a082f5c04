"""The loop that takes the gradients of kernels out of itself against a plain loop."""

import numpy as np
import tensorflow as tf

from dreamerv2.nets.cpu.scan import scan_with_products


def test_scan_with_products_equals_a_plain_loop_with_gradients():
    rng = np.random.default_rng(0)

    def draw(*shape):
        return tf.constant(rng.normal(size=shape), tf.float32)

    time, batch = 5, 2
    kernels, bias, addends = {'a': draw(3, 4), 'b': draw(4, 3)}, draw(4), draw(time, batch, 3)
    scale, start, factors = draw(4), draw(batch, 3), draw(time, batch, 1)

    def step(product, others, carry, now):
        inner = tf.tanh(product('a', carry * now['factor'])) * others['scale']
        after = tf.tanh(product('b', inner) + carry)
        return after, {'square': after**2, 'inner': inner}

    def fast(kernels, bias, addends, scale, start):
        products = {'a': (kernels['a'], bias), 'b': (kernels['b'], addends)}
        last, outputs = scan_with_products(
            step, start, {'factor': factors}, products, {'scale': scale}
        )
        return last, outputs['square'], outputs['inner']

    def plain(kernels, bias, addends, scale, carry):
        squares, inners = [], []
        for t in range(time):
            known = {'a': bias, 'b': addends[t]}
            carry, output = step(
                lambda name, x, known=known: x @ kernels[name] + known[name],
                {'scale': scale},
                carry,
                {'factor': factors[t]},
            )
            squares.append(output['square'])
            inners.append(output['inner'])
        return carry, tf.stack(squares), tf.stack(inners)

    sources = kernels, bias, addends, scale, start
    found = []
    for function in (fast, plain):
        with tf.GradientTape() as tape:
            tape.watch(sources)
            last, squares, inners = function(*sources)
            weights = tf.reshape(tf.range(time, dtype=tf.float32), [-1, 1, 1])
            loss = tf.reduce_sum(last) + tf.reduce_sum(squares * weights) + tf.reduce_sum(inners**2)
        found.append(tf.nest.flatten((squares, tape.gradient(loss, sources))))
    for ours, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)
