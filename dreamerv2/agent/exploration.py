"""Noise on top of the policy's action."""

from __future__ import annotations

import tensorflow as tf

from dreamerv2.nets.distributions import standard_normal


def add_noise(
    action: tf.Tensor, amount: float, discrete: bool, uniform: tf.Tensor, pick: tf.Tensor
) -> tf.Tensor:
    """Alpha-greedy noise for one-hot actions, clipped Gaussian noise for others.

    Args:
        action: `[batch, actions]`, one-hot or in [-1, 1].
        amount: probability of a uniform action, or the noise's standard deviation.
        discrete: whether actions are one-hot.
        uniform: numbers in [0, 1), `[batch, actions]`.
        pick: numbers in [0, 1), `[batch]`.

    Returns:
        The noisy action, of the shape of `action`.
    """
    if amount == 0:
        return action
    if not discrete:
        return tf.clip_by_value(action + amount * standard_normal(uniform), -1.0, 1.0)
    other = tf.one_hot(tf.argmax(uniform, -1), action.shape[-1], dtype=action.dtype)
    return tf.where((pick < amount)[:, None], other, action)
