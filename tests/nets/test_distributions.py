"""Distributions against TensorFlow Probability, and their draws against their probabilities."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from dreamerv2.nets import distributions
from dreamerv2.nets.distributions import categorical_sample


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def normal(rng, *shape):
    return tf.constant(rng.normal(size=shape), tf.float32)


def test_one_hot_agrees_with_tfp(rng):
    logits = 2 * normal(rng, 7, 5)
    ours, reference = distributions.OneHot(logits), tfd.OneHotCategorical(logits=logits)
    value = tf.one_hot(rng.integers(0, 5, 7), 5)
    np.testing.assert_allclose(ours.log_prob(value), reference.log_prob(value), rtol=1e-5)
    np.testing.assert_allclose(ours.entropy(), reference.entropy(), rtol=1e-5)
    np.testing.assert_array_equal(ours.mode(), tf.cast(reference.mode(), tf.float32))


def test_unit_normal_and_bernoulli_agree_with_tfp(rng):
    mean, value = normal(rng, 4, 3, 2), normal(rng, 4, 3, 2)
    reference = tfd.Independent(tfd.Normal(mean, 1.0), 2)
    ours = distributions.UnitNormal(mean, 2)
    np.testing.assert_allclose(ours.log_prob(value), reference.log_prob(value), rtol=1e-5)
    soft = tf.constant(rng.uniform(size=(4,)), tf.float32)
    logits = normal(rng, 4)
    ours = distributions.Bernoulli(logits, 0)
    np.testing.assert_allclose(
        ours.log_prob(soft), tfd.Bernoulli(logits=logits).log_prob(soft), rtol=1e-5
    )
    np.testing.assert_allclose(ours.mean(), tf.sigmoid(logits), rtol=1e-6)


def test_normal_agrees_with_tfp(rng):
    mean, std = normal(rng, 6, 3), tf.exp(normal(rng, 6, 3))
    ours = distributions.Normal(mean, std, 1)
    reference = tfd.MultivariateNormalDiag(mean, std)
    value = normal(rng, 6, 3)
    np.testing.assert_allclose(ours.log_prob(value), reference.log_prob(value), rtol=1e-5)
    np.testing.assert_allclose(ours.entropy(), reference.entropy(), rtol=1e-5)


def test_categorical_draws_follow_their_probabilities(rng):
    logits = tf.constant([[0.0, 1.0, -2.0, 0.5], [3.0, -1.0, 0.0, 0.0]])
    number = 40_000
    uniform = tf.constant(rng.uniform(size=(number, 2)), tf.float32)
    draws = categorical_sample(tf.tile(logits[None], [number, 1, 1]), uniform)
    np.testing.assert_array_equal(tf.reduce_sum(draws, -1), np.ones((number, 2)))
    error = np.abs(np.mean(draws, 0) - tf.nn.softmax(logits))
    assert error.max() < 4 * np.sqrt(0.25 / number)


def test_categorical_draw_at_the_ends_of_the_unit_interval_stays_in_range():
    logits = tf.zeros([2, 6])
    draws = categorical_sample(logits, tf.constant([0.0, np.nextafter(1, 0, dtype=np.float32)]))
    np.testing.assert_array_equal(tf.argmax(draws, -1), [0, 5])


def test_one_hot_sample_has_the_gradient_of_the_probabilities(rng):
    logits, weights = normal(rng, 3, 4), normal(rng, 3, 4)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(logits)
        uniform = tf.constant(rng.uniform(size=3), tf.float32)
        sampled = tf.reduce_sum(weights * distributions.OneHot(logits).sample(uniform))
        soft = tf.reduce_sum(weights * tf.nn.softmax(logits))
    np.testing.assert_allclose(
        tape.gradient(sampled, logits), tape.gradient(soft, logits), rtol=1e-5
    )


def test_truncated_normal_draws_stay_inside_and_have_its_moments(rng):
    loc, scale = tf.constant([[0.8, -0.2]]), tf.constant([[0.7, 0.3]])
    dist = distributions.TruncatedNormal(loc, scale)
    uniform = tf.constant(rng.uniform(size=(60_000, 2)), tf.float32)
    draws = dist.sample(uniform).numpy()
    assert np.abs(draws).max() < 1
    reference = tfd.TruncatedNormal(loc, scale, -1.0, 1.0)
    np.testing.assert_allclose(draws.mean(0), reference.mean()[0], atol=0.01)
    np.testing.assert_allclose(draws.std(0), reference.stddev()[0], atol=0.01)


def test_truncated_normal_draw_is_differentiable(rng):
    loc, scale = tf.constant([0.1]), tf.constant([0.5])
    uniform = tf.constant([0.7])
    with tf.GradientTape() as tape:
        tape.watch(loc)
        value = distributions.TruncatedNormal(loc, scale).sample(uniform)
    step = 1e-3
    change = distributions.TruncatedNormal(loc + step, scale).sample(uniform) - value
    np.testing.assert_allclose(tape.gradient(value, loc), change / step, rtol=0.02)


def test_tanh_normal_entropy_is_close_to_a_monte_carlo_estimate(rng):
    mean, std = tf.constant([[0.3, -1.0]]), tf.constant([[0.8, 0.4]])
    dist = distributions.TanhNormal(mean, std)
    draws = dist.sample(tf.constant(rng.uniform(size=(50_000, 2)), tf.float32))
    assert np.abs(draws).max() <= 1
    estimate = -np.mean(dist.log_prob(draws))
    np.testing.assert_allclose(dist.entropy()[0], estimate, atol=0.03)
