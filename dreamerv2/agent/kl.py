"""Divergence between posterior and prior, with balancing and free nats."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from dreamerv2.nets.distributions import masked_mean
from dreamerv2.nets.rssm import State


def stop_gradient(structure: Any) -> Any:
    return tf.nest.map_structure(tf.stop_gradient, structure)


def categorical_kl(left: tf.Tensor, right: tf.Tensor) -> tf.Tensor:
    """KL divergence in nats between categoricals by logits `[..., latents, classes]`, summed."""
    left, right = tf.nn.log_softmax(left), tf.nn.log_softmax(right)
    return tf.reduce_sum(tf.exp(left) * (left - right), [-2, -1])


def kl_divergence(left: State, right: State) -> tf.Tensor:
    """KL divergence in nats between two latent distributions, summed over latents, `[...]`."""
    if 'logit' in left:
        return categorical_kl(left['logit'], right['logit'])
    ratio = tf.square(left['std'] / right['std'])
    distance = tf.square((left['mean'] - right['mean']) / right['std'])
    return 0.5 * tf.reduce_sum(ratio + distance - 1 - tf.math.log(ratio), -1)


def kl_loss(
    posterior: State,
    prior: State,
    mask,
    *,
    forward: bool,
    balance: float,
    free: float,
    free_avg: bool,
) -> tuple[tf.Tensor, tf.Tensor]:
    """KL loss with balancing and free nats (arXiv:2010.02193, Algorithm 2).

    Args:
        posterior, prior: states `[batch, time, ...]`.
        mask: rows that count, `[batch, time]`.
        forward: exchange the two sides.
        balance: weight of the gradient that moves the prior; 0.5 trains both alike.
        free: nats below which there is no gradient.
        free_avg: whether free nats apply to the mean or to each row.

    Returns:
        The loss, and the divergence of every row `[batch, time]`.
    """
    left, right = (prior, posterior) if forward else (posterior, prior)
    if balance == 0.5:
        value = kl_divergence(left, right)
        # The original's free nats apply to each row here, whatever free_avg says.
        return masked_mean(tf.maximum(value, free), mask), value

    def average(value):
        if free_avg:
            return tf.maximum(masked_mean(value, mask), free)
        return masked_mean(tf.maximum(value, free), mask)

    value = kl_divergence(left, stop_gradient(right))
    other = kl_divergence(stop_gradient(left), right)
    mix = balance if forward else 1 - balance
    return mix * average(value) + (1 - mix) * average(other), value
