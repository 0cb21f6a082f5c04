"""Recurrent state-space model (arXiv:2010.02193, equation 1), with categorical or Gaussian latents.

A state is a dict of tensors with the same leading axes: `deter [..., deter]`, `stoch` and the
statistics it was drawn from: `logit` (categorical, like `stoch` `[..., stoch, discrete]`) or `mean`
and `std` (Gaussian, `[..., stoch]`). The recurrent part is carried in float32 whatever the
computation's type is, so that fifty small updates do not round away.

What does not depend on the recurrence is kept out of the time loop: the embedding's and the
action's share of the first layers, all priors, all random draws and the casting of the kernels.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from dreamerv2.nets import distributions
from dreamerv2.nets.gradients import forked
from dreamerv2.nets.layers import (
    Dense,
    LayerNorm,
    Weights,
    activation,
    layer_norm,
    linear,
    make_norm,
    normed,
)
from dreamerv2.nets.mlp import named
from dreamerv2.nets.scan import scan_with_products

State = dict[str, tf.Tensor]

UPDATE_BIAS = -1.0  # The update gate starts nearly closed, so that memory lasts.


class RSSM(tf.Module):
    """World model's dynamics.

    Args:
        embed_size: size of the encoder's output.
        action_size: length of the action vector.
        ensemble: number of prior heads; each call uses one at random.
        stoch, discrete: number of latents and their classes (0: Gaussian).
        deter, hidden: units of the GRU and of the layers around it.
        act, norm: activation and normalisation of the layers around it.
        std_act, min_std: how a Gaussian's deviation comes from the layer's output.
        unimix: share of the uniform distribution in categorical latents (`mix_uniform`).
    """

    def __init__(
        self,
        embed_size: int,
        action_size: int,
        *,
        ensemble: int,
        stoch: int,
        deter: int,
        hidden: int,
        discrete: int,
        act: str,
        norm: str,
        std_act: str,
        min_std: float,
        unimix: float = 0.0,
        rng: np.random.Generator,
        dtype: tf.DType,
    ):
        super().__init__()
        self._stoch, self._deter, self._discrete = stoch, deter, int(discrete or 0)
        self._std_act, self._min_std, self._unimix = std_act, min_std, unimix
        self._act = activation(act)
        self._dtype = dtype
        self.stoch_size = stoch * (self._discrete or 1)
        self.feature_size = self.stoch_size + deter
        stats = self.stoch_size if self._discrete else 2 * stoch

        def dense(inputs, units):
            return Dense(inputs, units, rng=rng, dtype=dtype)

        self._img_in = dense(self.stoch_size + action_size, hidden)
        self._img_in_norm = make_norm(norm, hidden)
        self._gru, self._gru_norm = dense(hidden + deter, 3 * deter), LayerNorm(3 * deter)
        self._img_out = [dense(deter, hidden) for _ in range(ensemble)]
        self._img_out_norm = [make_norm(norm, hidden) for _ in range(ensemble)]
        self._img_dist = [dense(hidden, stats) for _ in range(ensemble)]
        self._obs_out = dense(deter + embed_size, hidden)
        self._obs_out_norm = make_norm(norm, hidden)
        self._obs_dist = dense(hidden, stats)

    def parameters(self) -> dict[str, tf.Variable]:
        found = {
            **named('img_in', self._img_in),
            **named('img_in_norm', self._img_in_norm),
            **named('gru', self._gru),
            **named('gru_norm', self._gru_norm),
        }
        for k in range(len(self._img_out)):
            suffix = f'_{k}' if len(self._img_out) > 1 else ''
            found.update(named(f'img_out{suffix}', self._img_out[k]))
            found.update(named(f'img_out_norm{suffix}', self._img_out_norm[k]))
            found.update(named(f'img_dist{suffix}', self._img_dist[k]))
        found.update(named('obs_out', self._obs_out))
        found.update(named('obs_out_norm', self._obs_out_norm))
        found.update(named('obs_dist', self._obs_dist))
        return found

    def initial(self, batch: int) -> State:
        """State of zeros with leading axis `batch`, from which every sequence starts."""
        shape = [batch, self._stoch] + ([self._discrete] if self._discrete else [])
        stats = ['logit'] if self._discrete else ['mean', 'std']
        state = {key: tf.zeros(shape) for key in [*stats, 'stoch']}
        return {**state, 'deter': tf.zeros([batch, self._deter])}

    def noise(self, lead: list[int], seed: tf.Tensor) -> tf.Tensor:
        """Uniform numbers `[*lead, stoch]` for the draws of states; `seed` is int32 [2]."""
        return tf.random.stateless_uniform([*lead, self._stoch], seed)

    def features(self, state: State) -> tf.Tensor:
        """`[..., stoch * discrete + deter]` in the computation's type: what heads and actor see."""
        parts = self._flat(state['stoch']), state['deter']
        return tf.concat([tf.cast(part, self._dtype) for part in parts], -1)

    def distribution(self, state: State) -> distributions.OneHot | distributions.Normal:
        """Latent distribution of a state; per latent for categoricals."""
        if self._discrete:
            return distributions.OneHot(state['logit'])
        return distributions.Normal(state['mean'], state['std'], 1)

    def entropy(self, state: State) -> tf.Tensor:
        """Entropy in nats, summed over the latents, `[...]`."""
        entropy = self.distribution(state).entropy()
        return tf.reduce_sum(entropy, -1) if self._discrete else entropy

    def observe(
        self,
        embed: tf.Tensor,
        action: tf.Tensor,
        is_first: tf.Tensor,
        state: State,
        noise: tf.Tensor | None,
        prior_noise: tf.Tensor | None = None,
        member: tf.Tensor | int = 0,
    ) -> tuple[State, State]:
        """Filters a batch of sequences.

            States:        [s-1] -> s0 -> s1 -> s2
            Actions:            a0   a1   a2         (a_t led to observation t)
            Embeddings:         e0   e1   e2

        Args:
            embed: `[batch, time, embed_size]`.
            action: `[batch, time, action_size]`.
            is_first: `[batch, time]` bool; where true, state and action before it are zeroed.
            state: state before the first step, leading axis `batch`.
            noise: uniform `[batch, time, stoch]` for the draws; None takes the mode.
            prior_noise: the same for the priors' `stoch`, which no loss uses; None takes the mode.
            member: which prior head to use.

        Returns:
            Posterior and prior states with leading axes `[batch, time]`.
        """
        keep = 1 - tf.cast(is_first, tf.float32)[..., None]
        kernel, bias = self._img_in.weights()
        in_stoch, in_action = tf.split(kernel, [self.stoch_size, -1])
        action = tf.cast(tf.cast(action, tf.float32) * keep, self._dtype)
        from_action = linear((in_action, bias), action)
        kernel, bias = self._obs_out.weights()
        out_deter, out_embed = tf.split(kernel, [self._deter, -1])
        from_embed = linear((out_embed, bias), tf.cast(embed, self._dtype))
        products = {
            'stoch': (in_stoch, swap(from_action)),
            'gru': self._gru.weights(),
            'deter': (out_deter, swap(from_embed)),
            'dist': self._obs_dist.weights(),
        }
        norms = {'img_in': self._img_in_norm, 'gru': self._gru_norm, 'obs_out': self._obs_out_norm}
        weights = {key: norm.weights() for key, norm in norms.items() if norm}

        def step(product, norms, carry, now):
            deter, stoch = carry
            deter, stoch = deter * now['keep'], stoch * tf.cast(now['keep'], self._dtype)
            hidden = self._hidden(norms.get('img_in'), product('stoch', stoch))
            joint = tf.concat([hidden, tf.cast(deter, self._dtype)], -1)
            deter = recur(norms['gru'], product('gru', joint), deter)
            deter, inner = forked(deter)
            wide = product('deter', tf.cast(inner, self._dtype))
            stats = self._statistics(product('dist', self._hidden(norms.get('obs_out'), wide)))
            stoch = self.distribution(stats).sample(now.get('noise'))
            flat = tf.cast(self._flat(stoch), self._dtype)
            return (deter, flat), {**stats, 'stoch': stoch, 'deter': deter}

        inputs = {'keep': swap(keep)}
        if noise is not None:
            inputs['noise'] = swap(noise)
        start = state['deter'], tf.cast(self._flat(state['stoch']), self._dtype)
        _, posterior = scan_with_products(step, start, inputs, products, weights)
        posterior = tf.nest.map_structure(swap, posterior)
        prior = self.prior(posterior['deter'], prior_noise, member)
        return posterior, prior

    def observe_step(
        self,
        embed: tf.Tensor,
        action: tf.Tensor,
        is_first: tf.Tensor,
        state: State,
        noise: tf.Tensor | None,
    ) -> State:
        """Posterior after one step, for acting; arguments as in `observe` without the time axis."""
        keep = 1 - tf.cast(is_first, tf.float32)[:, None]
        flat = self._flat(state['stoch']) * keep
        deter = self._advance(flat, state['deter'] * keep, action * keep)
        inputs = tf.concat([tf.cast(deter, self._dtype), tf.cast(embed, self._dtype)], -1)
        hidden = normed(self._obs_out, self._obs_out_norm, self._act, inputs)
        stats = self._statistics(self._obs_dist(hidden))
        return {**stats, 'stoch': self.distribution(stats).sample(noise), 'deter': deter}

    def imagine_step(
        self, state: State, action: tf.Tensor, noise: tf.Tensor | None, member: tf.Tensor | int = 0
    ) -> State:
        """Prior state after `action [N, action_size]` from `state` with leading axis N."""
        deter = self._advance(self._flat(state['stoch']), state['deter'], action)
        return self.prior(deter, noise, member)

    def prior(
        self, deter: tf.Tensor, noise: tf.Tensor | None, member: tf.Tensor | int = 0
    ) -> State:
        """Prior state for the recurrent states `[..., deter]`; `noise [..., stoch]` or None."""
        raws = []
        members = zip(self._img_out, self._img_out_norm, self._img_dist, strict=True)
        copies = forked(deter, len(self._img_out))
        for copy, (out, norm, dist) in zip(copies, members, strict=True):
            raws.append(dist(normed(out, norm, self._act, copy)))
        raw = raws[0] if len(raws) == 1 else tf.stack(raws)[member]
        stats = self._statistics(raw)
        return {**stats, 'stoch': self.distribution(stats).sample(noise), 'deter': deter}

    def pick_member(self, seed: tf.Tensor) -> tf.Tensor | int:
        """Which prior head to use: 0 without an ensemble, else uniform."""
        if len(self._img_out) == 1:
            return 0
        return tf.random.stateless_uniform([], seed, 0, len(self._img_out), tf.int32)

    def _flat(self, stoch: tf.Tensor) -> tf.Tensor:
        if not self._discrete:
            return stoch
        return tf.reshape(stoch, [*stoch.shape[:-2], self.stoch_size])

    def _hidden(self, norm: Weights | None, x: tf.Tensor) -> tf.Tensor:
        return self._act(layer_norm(norm, x) if norm else x)

    def _advance(self, flat: tf.Tensor, deter: tf.Tensor, action: tf.Tensor) -> tf.Tensor:
        inputs = tf.concat([tf.cast(flat, self._dtype), tf.cast(action, self._dtype)], -1)
        hidden = normed(self._img_in, self._img_in_norm, self._act, inputs)
        parts = self._gru(tf.concat([hidden, tf.cast(deter, self._dtype)], -1))
        return recur(self._gru_norm.weights(), parts, deter)

    def _statistics(self, raw: tf.Tensor) -> State:
        raw = tf.cast(raw, tf.float32)
        if self._discrete:
            logit = tf.reshape(raw, [*raw.shape[:-1], self._stoch, self._discrete])
            if self._unimix:
                logit = distributions.mix_uniform(logit, self._unimix)
            return {'logit': logit}
        mean, std = tf.split(raw, 2, -1)
        std = {
            'softplus': tf.nn.softplus,
            'sigmoid': tf.sigmoid,
            'sigmoid2': lambda x: 2 * tf.sigmoid(x / 2),
        }[self._std_act](std)
        return {'mean': mean, 'std': std + self._min_std}


def recur(norm: Weights, parts: tf.Tensor, deter: tf.Tensor) -> tf.Tensor:
    """Layer-normalised GRU with the reset gate on the candidate's input.

    Args:
        norm: scale and offset of the normalisation.
        parts: the layer's output for reset, candidate and update, `[batch, 3 deter]`.
        deter: state before, `[batch, deter]` float32.

    Returns:
        State after, `[batch, deter]` float32.
    """
    reset, candidate, update = tf.split(layer_norm(norm, tf.cast(parts, tf.float32)), 3, -1)
    candidate = tf.tanh(tf.sigmoid(reset) * candidate)
    update = tf.sigmoid(update + UPDATE_BIAS)
    return update * candidate + (1 - update) * deter


def swap(x: tf.Tensor) -> tf.Tensor:
    """Exchanges the first two axes."""
    return tf.transpose(x, [1, 0, *range(2, x.shape.rank)])
