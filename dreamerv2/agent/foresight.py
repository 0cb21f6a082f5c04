"""What a world model, and the critic on it, predict at rows of recorded episodes."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from dreamerv2.agent.actor_critic import ActorCritic
from dreamerv2.agent.world_model import WorldModel

Tensors = dict[str, tf.Tensor]


def foresee(
    model: WorldModel,
    behavior: ActorCritic,
    discount: float,
    horizon: int,
    pictures: Sequence[int],
    data: Tensors,
    seed: tf.Tensor,
) -> Tensors:
    """Predictions with the row itself seen, and open loop with the actions taken.

        Rows:       z0   z1   z2   z3          (posteriors)
        Open loop:  z0 -> a1 -> z1' -> a2 -> z2'   predicts rows 1 and 2, 1 and 2 steps ahead

    Nothing of the agent changes.

    Args:
        model, behavior: of the agent.
        discount: of one step.
        horizon: number of steps that are imagined from every row.
        pictures: how many steps ahead images are wanted, each at most `horizon`.
        data: batch `[batch, time, ...]` as `Agent.to_device` gives it.
        seed: int32 [2], for the draws of all states.

    Returns:
        By name, `[batch, time, ...]`, of the posterior: images `KEY/0` in [0, 1], `reward`, `value`
        (the critic's), `imagined` (the lambda-return of a rollout of the policy), `ends` (the
        predicted probability that the row is terminal; only where discounts are predicted). From
        the batch itself: `learned`, the reward that the model learns, and `counted`, as the critic
        counts it. Imagined from the row with the actions after it: images `KEY/STEPS` as many steps
        later, and `ends_ahead [horizon, batch, time]`, the probability of a terminal row up to that
        step. Rows past the end have zero actions.
    """
    inputs = model.preprocess(data)
    batch, time = data['action'].shape[:2]
    seeds = tf.unstack(tf.random.experimental.stateless_split(seed, 4))
    noise = model.rssm.noise([batch, time], seeds[0])
    start = model.rssm.initial(batch)
    posterior, _ = model.rssm.observe(
        model.encoder(inputs), data['action'], data['is_first'], start, noise
    )

    def images(state, steps):
        dists = model.decoder(model.rssm.features(state))
        made = {f'{key}/{steps}': dists[key].mode() for key in model.decoder.cnn_keys}
        return {name: tf.clip_by_value(image + 0.5, 0.0, 1.0) for name, image in made.items()}

    features = model.rssm.features(posterior)
    found = {
        'reward': model.heads['reward'](features).mode(),
        'learned': inputs['reward'],
        'counted': behavior.reward_norm.scaled(inputs['reward']),
        'value': behavior.critic(features).mode(),
        **images(posterior, 0),
    }

    sequence = model.imagine(
        behavior.actor,
        posterior,
        data['is_terminal'],
        horizon,
        (
            model.rssm.noise([horizon, batch * time], seeds[1]),
            tf.random.stateless_uniform([horizon, batch * time, *behavior.noise_shape], seeds[2]),
        ),
        differentiable=False,
    )
    sequence['reward'] = behavior.reward_norm.scaled(model.heads['reward'](sequence['feat']).mode())
    target, _ = behavior.targets(sequence, tf.ones(sequence['reward'].shape))
    found['imagined'] = tf.reshape(target[0], [batch, time])

    padded = tf.pad(tf.cast(data['action'], tf.float32), [[0, 0], [0, horizon], [0, 0]])
    actions = tf.stack([padded[:, 1 + i : 1 + i + time] for i in range(horizon)])
    flat = {k: tf.reshape(v, [batch * time, *v.shape[2:]]) for k, v in posterior.items()}

    states = model.open_loop(
        flat,
        tf.reshape(actions, [horizon, batch * time, -1]),
        model.rssm.noise([horizon, batch * time], seeds[3]),
    )
    states = {k: tf.reshape(v, [horizon, batch, time, *v.shape[2:]]) for k, v in states.items()}
    for ahead in pictures:
        found.update(images({k: v[ahead - 1] for k, v in states.items()}, ahead))
    if 'discount' in model.heads:
        goes_on = model.heads['discount'](features).mean() / discount
        goes_on_ahead = model.heads['discount'](model.rssm.features(states)).mean() / discount
        found['ends'] = 1 - goes_on
        found['ends_ahead'] = 1 - tf.math.cumprod(goes_on_ahead, 0)
    return found
