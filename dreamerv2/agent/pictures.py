"""What a world model makes of images: open-loop videos, reconstructions."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from dreamerv2.agent.world_model import WorldModel
from dreamerv2.nets.rssm import State
from dreamerv2.nets.scan import scan

Tensors = dict[str, tf.Tensor]


def as_uint8(images: Mapping[str, tf.Tensor]) -> dict[str, np.ndarray]:
    """Images in [0, 1] as bytes, by key."""
    return {key: (value.numpy() * 255 + 0.5).astype(np.uint8) for key, value in images.items()}


def reconstructions(model: WorldModel, data: Tensors) -> Tensors:
    """Every image of a batch as the model sees it, in [0, 1]; the latents are posteriors' modes."""
    inputs = model.preprocess(data)
    start = model.rssm.initial(data['action'].shape[0])
    posterior, _ = model.rssm.observe(
        model.encoder(inputs), data['action'], data['is_first'], start, None
    )
    dists = model.decoder(model.rssm.features(posterior))
    keys = model.decoder.cnn_keys
    return {key: tf.clip_by_value(dists[key].mode() + 0.5, 0.0, 1.0) for key in keys}


def open_loop_videos(model: WorldModel, data: Tensors, seed: tf.Tensor) -> Tensors:
    """`open_loop` of every image, as `openloop_KEY`; draws come from `seed`, int32 [2]."""
    batch, time = data['action'].shape[:2]
    noise = model.rssm.noise([batch, time], seed)
    state = model.rssm.initial(batch)
    return {
        f'openloop_{key}': open_loop(model, data, key, state, noise)
        for key in model.decoder.cnn_keys
    }


def open_loop(
    model: WorldModel,
    data: Mapping[str, tf.Tensor],
    key: str,
    state: State,
    noise: tf.Tensor,
    context: int = 5,
) -> tf.Tensor:
    """Video of truth, model and error: `[time, 3 height, batch width, channels]` in [0, 1].

    The model sees the first `context` frames and imagines the rest from the actions alone;
    `noise` is uniform `[batch, time, stoch]`.
    """
    data = model.preprocess(data)
    truth = tf.cast(data[key], tf.float32) + 0.5
    embed = model.encoder(data)
    seen, _ = model.rssm.observe(
        embed[:, :context],
        data['action'][:, :context],
        data['is_first'][:, :context],
        state,
        noise[:, :context],
    )
    last = {k: v[:, -1] for k, v in seen.items()}

    def step(state, now):
        state = model.rssm.imagine_step(state, now['action'], now['noise'])
        return state, state

    later = {'action': data['action'][:, context:], 'noise': noise[:, context:]}
    later = {k: tf.transpose(v, [1, 0, 2]) for k, v in later.items()}
    _, dreamed = scan(step, last, later)
    dreamed = {k: tf.transpose(v, [1, 0, *range(2, v.shape.rank)]) for k, v in dreamed.items()}
    states = {k: tf.concat([seen[k], dreamed[k]], 1) for k in seen}
    made = model.decoder(model.rssm.features(states))[key].mode() + 0.5
    error = (made - truth + 1) / 2
    video = tf.clip_by_value(tf.concat([truth, made, error], 2), 0, 1)
    video = tf.transpose(video, [1, 2, 0, 3, 4])
    time, height, batch, width, channels = video.shape
    return tf.reshape(video, [time, height, batch * width, channels])
