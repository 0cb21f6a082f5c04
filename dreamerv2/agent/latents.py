"""Latent states of observed rows, and what the heads, the critic and the actor make of them."""

from __future__ import annotations

from collections.abc import Mapping

import tensorflow as tf

from dreamerv2.agent.actor_critic import ActorCritic
from dreamerv2.agent.world_model import WorldModel
from dreamerv2.nets.rssm import State

Tensors = dict[str, tf.Tensor]


def observe(model: WorldModel, data: Mapping[str, tf.Tensor]) -> State:
    """Posterior states `[batch, time, ...]` of a batch; the latents are their modes."""
    embed = model.encoder(model.preprocess(data))
    start = model.rssm.initial(data['action'].shape[0])
    posterior, _ = model.rssm.observe(embed, data['action'], data['is_first'], start, None)
    return posterior


def observations(model: WorldModel, state: State) -> Tensors:
    """Every observation that the decoder draws from states `[...]`, by key; images in [0, 1]."""
    dists = model.decoder(model.rssm.features(state))
    found = {key: dist.mode() for key, dist in dists.items()}
    images = {key: tf.clip_by_value(found[key] + 0.5, 0.0, 1.0) for key in model.decoder.cnn_keys}
    return {**found, **images}


def predictions(model: WorldModel, behavior: ActorCritic, state: State, discount: float) -> Tensors:
    """What heads, critic and actor make of states `[...]`, by name.

    Returns:
        `reward [...]`, as the model learns it (`clip_rewards`); `end [...]`, the probability that
        the state is terminal, where discounts are predicted; `value [...]`, the critic's; `policy
        [..., actions]`, the actions' probabilities, or the mean of continuous ones.
    """
    features = model.rssm.features(state)
    found = {
        'reward': model.heads['reward'](features).mode(),
        'value': behavior.critic(features).mode(),
        'policy': behavior.actor(features).mean(),
    }
    if 'discount' in model.heads:
        goes_on = model.heads['discount'](features).mean() / discount
        found['end'] = tf.clip_by_value(1 - goes_on, 0.0, 1.0)  # The mean may be above discount.
    return found
