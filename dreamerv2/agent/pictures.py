"""What a world model makes of images: open-loop videos, reconstructions."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from dreamerv2.agent.latents import observations, observe
from dreamerv2.agent.world_model import WorldModel
from dreamerv2.nets.rssm import State

Tensors = dict[str, tf.Tensor]


def as_uint8(images: Mapping[str, tf.Tensor]) -> dict[str, np.ndarray]:
    """Images in [0, 1] as bytes, by key."""
    return {key: (value.numpy() * 255 + 0.5).astype(np.uint8) for key, value in images.items()}


def reconstructions(model: WorldModel, data: Tensors) -> Tensors:
    """Every image of a batch as the model sees it, in [0, 1]; the latents are posteriors' modes."""
    found = observations(model, observe(model, data))
    return {key: found[key] for key in model.decoder.cnn_keys}


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

    later = [tf.transpose(x[:, context:], [1, 0, 2]) for x in (data['action'], noise)]
    dreamed = model.open_loop(last, *later)
    dreamed = {k: tf.transpose(v, [1, 0, *range(2, v.shape.rank)]) for k, v in dreamed.items()}
    states = {k: tf.concat([seen[k], dreamed[k]], 1) for k in seen}
    made = model.decoder(model.rssm.features(states))[key].mode() + 0.5
    error = (made - truth + 1) / 2
    video = tf.clip_by_value(tf.concat([truth, made, error], 2), 0, 1)
    video = tf.transpose(video, [1, 2, 0, 3, 4])
    time, height, batch, width, channels = video.shape
    return tf.reshape(video, [time, height, batch * width, channels])
