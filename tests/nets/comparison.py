"""What tests of layers have in common."""

import numpy as np
import tensorflow as tf


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
