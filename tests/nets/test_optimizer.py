"""Optimizer: order of clipping, decay and update; float16's skipped steps."""

import numpy as np
import pytest
import tensorflow as tf

from dreamerv2.nets.optimizer import Optimizer


def run(optimizer, variable, gradients):
    metrics = []
    for gradient in gradients:
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(variable * tf.constant(gradient, tf.float32))
        metrics.append(optimizer.apply(optimizer.gradients(tape, loss), 'test'))
    return metrics


def test_adam_with_clipping_and_decay_follows_the_formula():
    start, gradients = np.array([1.0, -2.0]), [np.array([30.0, 40.0]), np.array([0.3, -0.1])]
    variable = tf.Variable(start, dtype=tf.float32)
    optimizer = Optimizer({'w': variable}, lr=0.1, eps=1e-5, clip=5.0, wd=0.01)
    metrics = run(optimizer, variable, gradients)
    weight, first, second = start.copy(), 0.0, 0.0
    for count, gradient in enumerate(gradients, 1):
        gradient = gradient * min(1, 5 / np.linalg.norm(gradient))
        first, second = 0.9 * first + 0.1 * gradient, 0.999 * second + 0.001 * gradient**2
        rate = 0.1 * np.sqrt(1 - 0.999**count) / (1 - 0.9**count)
        weight = weight * (1 - 0.01) - rate * first / (np.sqrt(second) + 1e-5)
    np.testing.assert_allclose(variable, weight, rtol=1e-5)
    np.testing.assert_allclose(metrics[0]['test_grad_norm'], 50.0)


@pytest.mark.parametrize('name', ['adamax', 'sgd', 'momentum'])
def test_other_optimizers_descend(name):
    variable = tf.Variable([1.0])
    run(Optimizer({'w': variable}, lr=0.1, opt=name), variable, [[1.0]] * 3)
    assert variable.numpy()[0] < 0.8


def test_unknown_optimizer_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match='adam, adamax, sgd, momentum'):
        Optimizer({}, lr=0.1, opt='lion')


@pytest.mark.parametrize('bad', [np.inf, np.nan])
@pytest.mark.parametrize('scaled', [False, True])
def test_a_step_that_is_not_finite_is_skipped_whole(scaled, bad):
    variable = tf.Variable([1.0, 2.0])
    optimizer = Optimizer({'w': variable}, lr=0.1, wd=0.5, scaled=scaled)
    before = {name: value.numpy() for name, value in optimizer.state().items()}
    metrics = run(optimizer, variable, [[bad, 1.0]])[0]
    np.testing.assert_array_equal(variable, [1.0, 2.0])
    after = optimizer.state()
    assert after['updates'].numpy() == 0
    np.testing.assert_array_equal(after['w/moment1'], before['w/moment1'])
    if scaled:
        assert metrics['test_skipped'] == 1
        assert after['scale'].numpy() == before['scale'] / 2
    run(optimizer, variable, [[1.0, 1.0]])
    assert after['updates'].numpy() == 1
    assert variable.numpy()[0] < 0.5


def test_a_loss_that_is_not_finite_makes_no_step_and_neither_does_what_is_not_allowed():
    variable = tf.Variable([1.0])
    optimizer = Optimizer({'w': variable}, lr=0.1)
    with tf.GradientTape(persistent=True) as tape:
        sound = tf.reduce_sum(variable)
        broken = sound + tf.constant(np.nan)
    assert not optimizer.gradients(tape, broken).finite
    optimizer.apply(optimizer.gradients(tape, broken), 'test')
    optimizer.apply(optimizer.gradients(tape, sound), 'test', tf.constant(False))
    assert variable.numpy()[0] == 1 and optimizer.updates.numpy() == 0
    optimizer.apply(optimizer.gradients(tape, sound), 'test')
    assert variable.numpy()[0] < 1


def test_loss_scaling_does_not_change_the_step():
    plain, scaled = tf.Variable([1.0, -1.0]), tf.Variable([1.0, -1.0])
    gradients = [[0.3, 0.2], [-0.1, 0.4]]
    run(Optimizer({'w': plain}, lr=0.1), plain, gradients)
    run(Optimizer({'w': scaled}, lr=0.1, scaled=True), scaled, gradients)
    np.testing.assert_allclose(plain, scaled, rtol=1e-6)
