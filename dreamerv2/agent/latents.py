"""What a model makes of recorded rows: latent states, observations, predictions, open loop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import tensorflow as tf

from dreamerv2.agent.actor_critic import ActorCritic
from dreamerv2.agent.calls import split_seed
from dreamerv2.agent.world_model import WorldModel
from dreamerv2.nets.rssm import State
from dreamerv2.nets.scan import swap

Tensors = dict[str, tf.Tensor]


def observe(
    model: WorldModel, data: Mapping[str, tf.Tensor], noise: tf.Tensor | None = None
) -> State:
    """Posterior states `[batch, time, ...]` of a batch, drawn by `noise`; None takes the modes."""
    embed = model.encoder(model.preprocess(data))
    start = model.rssm.initial(data['action'].shape[0])
    return model.rssm.observe(embed, data['action'], data['is_first'], start, noise)[0]


def observations(model: WorldModel, state: State) -> Tensors:
    """Every observation that the decoder draws from states `[...]`, by key; images in [0, 1]."""
    dists = model.decoder(model.rssm.features(state))
    found = {key: dist.mode() for key, dist in dists.items()}
    images = {key: tf.clip_by_value(found[key] + 0.5, 0.0, 1.0) for key in model.decoder.cnn_keys}
    return {**found, **images}


def reconstructions(model: WorldModel, data: Tensors) -> Tensors:
    """Every image of a batch as the model sees it, in [0, 1]; the latents are posteriors' modes."""
    found = observations(model, observe(model, data))
    return {key: found[key] for key in model.decoder.cnn_keys}


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


def open_loop_videos(
    model: WorldModel, data: Tensors, seed: tf.Tensor, context: int = 5
) -> Tensors:
    """Videos of truth, model and error: `[time, 3 height, batch width, channels]` in [0, 1].

    The model sees the first `context` frames and imagines the rest from the actions alone; draws
    come from `seed`, int32 [2]. By name, `openloop_KEY` of every image.
    """
    noise = model.rssm.noise(list(data['action'].shape[:2]), seed)
    seen = observe(model, {k: v[:, :context] for k, v in data.items()}, noise[:, :context])
    last = {k: v[:, -1] for k, v in seen.items()}
    dreamed = model.open_loop(last, swap(data['action'][:, context:]), swap(noise[:, context:]))
    states = {k: tf.concat([seen[k], swap(dreamed[k])], 1) for k in seen}
    dists, inputs = model.decoder(model.rssm.features(states)), model.preprocess(data)
    videos = {}
    for key in model.decoder.cnn_keys:
        truth, made = (tf.cast(x, tf.float32) + 0.5 for x in (inputs[key], dists[key].mode()))
        error = (made - truth + 1) / 2
        video = tf.clip_by_value(tf.concat([truth, made, error], 2), 0, 1)
        video = tf.transpose(video, [1, 2, 0, 3, 4])
        time, height, batch, width, channels = video.shape
        videos[f'openloop_{key}'] = tf.reshape(video, [time, height, batch * width, channels])
    return videos


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
    rssm, heads = model.rssm, model.heads
    batch, time = data['action'].shape[:2]
    ahead = [horizon, batch * time]
    seeds = split_seed(seed, 4)
    posterior = observe(model, data, rssm.noise([batch, time], seeds[0]))

    def images(state, steps):
        made = observations(model, state)
        return {f'{key}/{steps}': made[key] for key in model.decoder.cnn_keys}

    features = rssm.features(posterior)
    learned = model.preprocess(data)['reward']
    found = {
        'reward': heads['reward'](features).mode(),
        'learned': learned,
        'counted': behavior.reward_norm.scaled(learned),
        'value': behavior.critic(features).mode(),
        **images(posterior, 0),
    }

    draws = tf.random.stateless_uniform([*ahead, *behavior.noise_shape], seeds[2])
    sequence = model.imagine(
        behavior.actor,
        posterior,
        data['is_terminal'],
        horizon,
        (rssm.noise(ahead, seeds[1]), draws),
        differentiable=False,
    )
    sequence['reward'] = behavior.reward_norm.scaled(heads['reward'](sequence['feat']).mode())
    target, _ = behavior.targets(sequence, tf.ones(sequence['reward'].shape))
    found['imagined'] = tf.reshape(target[0], [batch, time])

    padded = tf.pad(tf.cast(data['action'], tf.float32), [[0, 0], [0, horizon], [0, 0]])
    actions = tf.stack([padded[:, 1 + i : 1 + i + time] for i in range(horizon)])
    flat = {k: tf.reshape(v, [batch * time, *v.shape[2:]]) for k, v in posterior.items()}
    states = model.open_loop(flat, tf.reshape(actions, [*ahead, -1]), rssm.noise(ahead, seeds[3]))
    states = {k: tf.reshape(v, [horizon, batch, time, *v.shape[2:]]) for k, v in states.items()}
    for steps in pictures:
        found.update(images({k: v[steps - 1] for k, v in states.items()}, steps))
    if 'discount' in heads:
        found['ends'] = 1 - heads['discount'](features).mean() / discount
        goes_on = heads['discount'](rssm.features(states)).mean() / discount
        found['ends_ahead'] = 1 - tf.math.cumprod(goes_on, 0)
    return found
