"""Pure functions of the agent: returns, schedules, noise, reward scale."""

import numpy as np
import pytest
import tensorflow as tf

from dreamerv2.agent.exploration import add_noise
from dreamerv2.agent.returns import RewardNormalizer, lambda_return, masked_std
from dreamerv2.agent.schedules import schedule
from dreamerv2.nets.distributions import masked_mean


@pytest.mark.parametrize('lambda_', [0.0, 0.5, 0.95, 1.0])
def test_lambda_return_is_the_weighted_sum_of_n_step_returns(lambda_):
    rng = np.random.default_rng(0)
    horizon = 6
    reward, value = rng.normal(size=(2, horizon, 2))
    discount, bootstrap = rng.uniform(size=(horizon, 2)), rng.normal(size=2)
    values = np.concatenate([value, bootstrap[None]])

    def n_step(start, n):
        total, factor = 0.0, 1.0
        for t in range(start, start + n):
            total, factor = total + factor * reward[t], factor * discount[t]
        return total + factor * values[start + n]

    for start in range(horizon):
        left = horizon - start
        expected = lambda_ ** (left - 1) * n_step(start, left)
        expected = expected + sum(
            (1 - lambda_) * lambda_ ** (n - 1) * n_step(start, n) for n in range(1, left)
        )
        ours = lambda_return(*map(tf.constant, (reward, value, discount, bootstrap)), lambda_)
        np.testing.assert_allclose(ours[start], expected, rtol=1e-6)


@pytest.mark.parametrize(
    ('text', 'step', 'expected'),
    [
        (0.3, 5, 0.3),
        ('0.3', 5, 0.3),
        ('linear(1,0.1,1e6)', 0, 1.0),
        ('linear(1,0.1,1e6)', 500_000, 0.55),
        ('linear(1,0.1,1e6)', 2_000_000, 0.1),
        ('warmup(100,2)', 25, 0.5),
        ('exp(1,0,10)', 10, 0.5),
        ('horizon(10,100,100)', 100, 0.99),
    ],
)
def test_schedules(text, step, expected):
    np.testing.assert_allclose(schedule(text, tf.constant(step, tf.int64)), expected, rtol=1e-5)


def test_a_text_that_is_no_schedule_is_refused():
    with pytest.raises(ValueError, match='no schedule is called quadratic'):
        schedule('quadratic(1,2)', tf.constant(0))


def test_masked_mean_and_deviation_count_only_the_rows_that_count():
    values, mask = tf.constant([1.0, 3.0, 100.0]), tf.constant([1.0, 1.0, 0.0])
    assert float(masked_mean(values, mask)) == 2
    assert float(masked_std(values, mask)) == 1
    assert float(masked_mean(values, tf.zeros(3))) == 0


def test_noise_replaces_the_action_with_the_asked_probability():
    rng = np.random.default_rng(0)
    number, actions, amount = 20_000, 4, 0.4
    action = tf.one_hot(tf.zeros(number, tf.int32), actions)
    noisy = add_noise(
        action,
        amount,
        True,
        tf.constant(rng.uniform(size=(number, actions)), tf.float32),
        tf.constant(rng.uniform(size=number), tf.float32),
    )
    share = noisy.numpy().mean(0)
    np.testing.assert_allclose(share, [0.7, 0.1, 0.1, 0.1], atol=0.02)


def test_reward_scale_follows_the_magnitude_of_rows_that_count():
    normalizer = RewardNormalizer(momentum=0.5)
    reward, mask = tf.constant([[3.0, -3.0, 50.0]]), tf.constant([[1.0, 1.0, 0.0]])
    normed, metrics = normalizer(reward, mask)
    np.testing.assert_allclose(normalizer.magnitude, 2.0)
    np.testing.assert_allclose(normed[0, :2], [1.5, -1.5])
    np.testing.assert_allclose(metrics['reward_normed_std'], 1.5)
