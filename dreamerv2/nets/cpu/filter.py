"""The RSSM's filter with everything that does not depend on the recurrence outside the time loop.

These are the contributions of embedding and action to the first layers, the casts of the weights,
and the gradients of the weights (see `scan`).
"""

from __future__ import annotations

import tensorflow as tf

from dreamerv2.nets.cpu.gradients import layer_norm, linear
from dreamerv2.nets.cpu.scan import scan_with_products
from dreamerv2.nets.layers import Weights
from dreamerv2.nets.rssm import RSSM, State, recur
from dreamerv2.nets.scan import forked, swap


def filter_states(
    rssm: RSSM, embed, action, is_first, state: State, noise: tf.Tensor | None
) -> State:
    """As `RSSM.filter`."""
    keep = 1 - tf.cast(is_first, tf.float32)[..., None]
    kernel, bias = rssm.img_in.weights()
    in_stoch, in_action = tf.split(kernel, [rssm.stoch_size, -1])
    action = tf.cast(tf.cast(action, tf.float32) * keep, rssm.dtype)
    from_action = linear(action, (in_action, bias))
    kernel, bias = rssm.obs_out.weights()
    out_deter, out_embed = tf.split(kernel, [rssm.deter_size, -1])
    from_embed = linear(tf.cast(embed, rssm.dtype), (out_embed, bias))
    products = {
        'stoch': (in_stoch, swap(from_action)),
        'gru': rssm.gru.weights(),
        'deter': (out_deter, swap(from_embed)),
        'dist': rssm.obs_dist.weights(),
    }
    norms = {'img_in': rssm.img_in_norm, 'gru': rssm.gru_norm, 'obs_out': rssm.obs_out_norm}
    weights = {key: norm.weights() for key, norm in norms.items() if norm}

    def activated(norm: Weights | None, x: tf.Tensor) -> tf.Tensor:
        return rssm.act(layer_norm(x, norm) if norm else x)

    def step(product, norms, carry, now):
        deter, stoch = carry
        deter, stoch = deter * now['keep'], stoch * tf.cast(now['keep'], rssm.dtype)
        hidden = activated(norms.get('img_in'), product('stoch', stoch))
        joint = tf.concat([hidden, tf.cast(deter, rssm.dtype)], -1)
        gates = layer_norm(tf.cast(product('gru', joint), tf.float32), norms['gru'])
        deter = recur(gates, deter)
        deter, inner = forked(deter)
        wide = product('deter', tf.cast(inner, rssm.dtype))
        stats = rssm.statistics(product('dist', activated(norms.get('obs_out'), wide)))
        stoch = rssm.distribution(stats).sample(now.get('noise'))
        flat = tf.cast(rssm.flat(stoch), rssm.dtype)
        return (deter, flat), {**stats, 'stoch': stoch, 'deter': deter}

    inputs = {'keep': swap(keep)}
    if noise is not None:
        inputs['noise'] = swap(noise)
    start = state['deter'], tf.cast(rssm.flat(state['stoch']), rssm.dtype)
    _, posterior = scan_with_products(step, start, inputs, products, weights)
    return tf.nest.map_structure(swap, posterior)
