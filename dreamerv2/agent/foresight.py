"""What a world model, and the critic on it, predict at rows of recorded episodes."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from dreamerv2.agent.actor_critic import ActorCritic
from dreamerv2.agent.world_model import WorldModel
from dreamerv2.nets.scan import scan

Tensors = dict[str, tf.Tensor]


def foresee(
    model: WorldModel,
    behavior: ActorCritic,
    horizon: int,
    pictures: Sequence[int],
    data: Tensors,
    seed: tf.Tensor,
) -> Tensors:
    """Predictions with the row itself seen, and open loop with the actions taken.

        Rows:       z0   z1   z2   z3          (posteriors)
        Open loop:  z0 -> a1 -> z1' -> a2 -> z2'   predicts rows 1 and 2, 1 and 2 steps ahead

    Args:
        model, behavior: of the agent.
        horizon: number of steps that are imagined from every row.
        pictures: how many steps ahead images are wanted, each at most `horizon`.
        data: batch `[batch, time, ...]` as `Agent.to_device` gives it.
        seed: int32 [2], for the draws of all states.

    Returns:
        By name, `[batch, time, ...]`: `reward`, `discount` and `value` of the posterior, images
        `KEY/0` in [0, 1]; `discount_ahead` `[horizon, batch, time]` and images `KEY/STEPS` are
        those imagined from the row, for as many steps later. Rows past the end have zero actions.
    """
    inputs = model.preprocess(data)
    batch, time = data['action'].shape[:2]
    seeds = tf.unstack(tf.random.experimental.stateless_split(seed, 2))
    noise = model.rssm.noise([batch, time], seeds[0])
    start = model.rssm.initial(batch)
    posterior, _ = model.rssm.observe(
        model.encoder(inputs), data['action'], data['is_first'], start, noise
    )

    def images(state, steps):
        dists = model.decoder(model.rssm.features(state))
        made = {f'{key}/{steps}': dists[key].mode() for key in model.decoder.cnn_keys}
        return {name: tf.clip_by_value(image + 0.5, 0.0, 1.0) for name, image in made.items()}

    def discounts(features):
        if model.discount is None:
            return tf.ones(features.shape[:-1])
        return model.discount(features).mean()

    features = model.rssm.features(posterior)
    found = {
        'reward': model.reward(features).mode(),
        'discount': discounts(features),
        'value': behavior.critic(features).mode(),
        **images(posterior, 0),
    }
    padded = tf.pad(tf.cast(data['action'], tf.float32), [[0, 0], [0, horizon], [0, 0]])
    actions = tf.stack([padded[:, 1 + i : 1 + i + time] for i in range(horizon)])
    flat = {k: tf.reshape(v, [batch * time, *v.shape[2:]]) for k, v in posterior.items()}

    def step(state, now):
        state = model.rssm.imagine_step(state, now['action'], now['noise'])
        return state, state

    steps = {
        'action': tf.reshape(actions, [horizon, batch * time, -1]),
        'noise': model.rssm.noise([horizon, batch * time], seeds[1]),
    }
    _, states = scan(step, flat, steps)
    states = {k: tf.reshape(v, [horizon, batch, time, *v.shape[2:]]) for k, v in states.items()}
    found['discount_ahead'] = discounts(model.rssm.features(states))
    for ahead in pictures:
        found.update(images({k: v[ahead - 1] for k, v in states.items()}, ahead))
    return found
