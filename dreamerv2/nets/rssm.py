"""Recurrent state-space model (arXiv:2010.02193, equation 1), with categorical or Gaussian latents.

A state is a dict of tensors with the same leading axes: `deter [..., deter]`, `stoch` and the
statistics it was drawn from: `logit` (categorical, like `stoch` `[..., stoch, discrete]`) or `mean`
and `std` (Gaussian, `[..., stoch]`). The recurrent part is carried in float32 whatever the
computation's type, so that many small updates are not lost to rounding.

    h_t = GRU(h_{t-1}, z_{t-1}, a_t)    posterior z_t ~ q(h_t, e_t)    prior z_t ~ p(h_t)

Priors and all random draws are computed outside the time loop.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from dreamerv2.nets import distributions
from dreamerv2.nets.layers import (
    PLAIN,
    Dense,
    Kernels,
    LayerNorm,
    activation,
    make_norm,
    named,
    normed,
)
from dreamerv2.nets.scan import forked, scan, swap

State = dict[str, tf.Tensor]

UPDATE_BIAS = -1.0  # The update gate starts nearly closed, so that the state is remembered.


class RSSM(tf.Module):
    """World model's dynamics.

    Args:
        embed_size: size of the encoder's output.
        action_size: length of the action vector.
        ensemble: number of prior heads; each call uses one at random.
        stoch, discrete: number of latents and their classes (0: Gaussian).
        deter, hidden: units of the GRU and of the layers around it.
        act, norm: activation and normalisation of the layers around it.
        std_act, min_std: how a Gaussian's standard deviation is computed from the layer's output.
        unimix: share of the uniform distribution in categorical latents (`mix_uniform`).
        dtype: of the computation.
        kernels: how it is computed.
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
        dtype: tf.DType,
        kernels: Kernels = PLAIN,
        **made: Any,
    ):
        super().__init__()
        self._stoch, self.deter_size, self._discrete = stoch, deter, int(discrete or 0)
        self._std_act, self._min_std, self._unimix = std_act, min_std, unimix
        self.act, self.dtype, self._kernels = activation(act), dtype, kernels
        self.stoch_size = stoch * (self._discrete or 1)
        self.feature_size = self.stoch_size + deter
        stats = self.stoch_size if self._discrete else 2 * stoch
        made.update(dtype=dtype, kernels=kernels)
        self.img_in = Dense(self.stoch_size + action_size, hidden, **made)
        self.img_in_norm = make_norm(norm, hidden, kernels=kernels)
        self.gru = Dense(hidden + deter, 3 * deter, **made)
        self.gru_norm = LayerNorm(3 * deter, kernels=kernels)
        self._img_out = [Dense(deter, hidden, **made) for _ in range(ensemble)]
        self._img_out_norm = [make_norm(norm, hidden, kernels=kernels) for _ in range(ensemble)]
        self._img_dist = [Dense(hidden, stats, **made) for _ in range(ensemble)]
        self.obs_out = Dense(deter + embed_size, hidden, **made)
        self.obs_out_norm = make_norm(norm, hidden, kernels=kernels)
        self.obs_dist = Dense(hidden, stats, **made)

    def parameters(self) -> dict[str, tf.Variable]:
        layers: dict[str, Any] = {'img_in': self.img_in, 'img_in_norm': self.img_in_norm}
        layers.update(gru=self.gru, gru_norm=self.gru_norm)
        for k, member in enumerate(self._members()):
            suffix = f'_{k}' if len(self._img_out) > 1 else ''
            names = ('img_out', 'img_out_norm', 'img_dist')
            layers.update({name + suffix: x for name, x in zip(names, member, strict=True)})
        layers.update(obs_out=self.obs_out, obs_out_norm=self.obs_out_norm, obs_dist=self.obs_dist)
        return {k: v for name, layer in layers.items() for k, v in named(name, layer).items()}

    def _members(self) -> list[tuple[Dense, LayerNorm | None, Dense]]:
        return list(zip(self._img_out, self._img_out_norm, self._img_dist, strict=True))

    def initial(self, batch: int) -> State:
        """State of zeros with leading axis `batch`, from which every sequence starts."""
        shape = [batch, self._stoch] + ([self._discrete] if self._discrete else [])
        stats = ['logit'] if self._discrete else ['mean', 'std']
        state = {key: tf.zeros(shape) for key in [*stats, 'stoch']}
        return {**state, 'deter': tf.zeros([batch, self.deter_size])}

    def noise(self, lead: list[int], seed: tf.Tensor) -> tf.Tensor:
        """Uniform numbers `[*lead, stoch]` for the draws of states; `seed` is int32 [2]."""
        return tf.random.stateless_uniform([*lead, self._stoch], seed)

    def features(self, state: State) -> tf.Tensor:
        """`[..., stoch * discrete + deter]` in the computation's type: what heads and actor see."""
        parts = self.flat(state['stoch']), state['deter']
        return tf.concat([tf.cast(part, self.dtype) for part in parts], -1)

    def distribution(self, state: State) -> distributions.OneHot | distributions.Normal:
        """Latent distribution of a state; per latent for categoricals."""
        if self._discrete:
            return distributions.OneHot(state['logit'])
        return distributions.Normal(state['mean'], state['std'], 1)

    def entropy(self, state: State) -> tf.Tensor:
        """Entropy in nats, summed over the latents, `[...]`."""
        entropy = self.distribution(state).entropy()
        return tf.reduce_sum(entropy, -1) if self._discrete else entropy

    def pick_member(self, seed: tf.Tensor) -> tf.Tensor | int:
        """Which prior head to use: 0 without an ensemble, else uniform."""
        if len(self._img_out) == 1:
            return 0
        return tf.random.stateless_uniform([], seed, 0, len(self._img_out), tf.int32)

    def flat(self, stoch: tf.Tensor) -> tf.Tensor:
        """Latents `[..., stoch, discrete]` as one vector `[..., stoch * discrete]`."""
        if not self._discrete:
            return stoch
        return tf.reshape(stoch, [*stoch.shape[:-2], self.stoch_size])

    def statistics(self, raw: tf.Tensor) -> State:
        """Parameters of the latent distribution from a layer's output `[..., stats]`."""
        raw = tf.cast(raw, tf.float32)
        if self._discrete:
            logit = tf.reshape(raw, [*raw.shape[:-1], self._stoch, self._discrete])
            return {'logit': distributions.mix_uniform(logit, self._unimix)}
        mean, std = tf.split(raw, 2, -1)
        std = {
            'softplus': tf.nn.softplus,
            'sigmoid': tf.sigmoid,
            'sigmoid2': lambda x: 2 * tf.sigmoid(x / 2),
        }[self._std_act](std)
        return {'mean': mean, 'std': std + self._min_std}

    def observe(
        self, embed, action, is_first, state: State, noise: tf.Tensor | None, member=0
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
            member: which prior head to use.

        Returns:
            Posterior and prior states with leading axes `[batch, time]`; the priors' `stoch`, which
            no loss uses, is the mode.
        """
        posterior = self._kernels.filter(self, embed, action, is_first, state, noise)
        return posterior, self.prior(posterior['deter'], None, member)

    def filter(self, embed, action, is_first, state: State, noise: tf.Tensor | None) -> State:
        """The posterior states of `observe`, step by step; the same arguments."""

        def step(state: State, now: State) -> tuple[State, State]:
            seen = now['embed'], now['action'], now['is_first']
            state = self.observe_step(*seen, state, now.get('noise'))
            carried, deter = forked(state['deter'])
            return {'deter': carried, 'stoch': state['stoch']}, {**state, 'deter': deter}

        inputs = {'embed': embed, 'action': tf.cast(action, tf.float32), 'is_first': is_first}
        inputs |= {} if noise is None else {'noise': noise}
        start = {key: state[key] for key in ('deter', 'stoch')}
        _, posterior = scan(step, start, tf.nest.map_structure(swap, inputs))
        return tf.nest.map_structure(swap, posterior)

    def observe_step(self, embed, action, is_first, state: State, noise: tf.Tensor | None) -> State:
        """Posterior after one step, for acting; arguments as in `observe` without the time axis."""
        keep = 1 - tf.cast(is_first, tf.float32)[:, None]
        flat = self.flat(state['stoch']) * keep
        deter = self._advance(flat, state['deter'] * keep, action * keep)
        inputs = tf.concat([tf.cast(deter, self.dtype), tf.cast(embed, self.dtype)], -1)
        hidden = normed(self.obs_out, self.obs_out_norm, self.act, inputs)
        return self._draw(self.obs_dist(hidden), deter, noise)

    def imagine_step(self, state: State, action, noise: tf.Tensor | None, member=0) -> State:
        """Prior state after `action [N, action_size]` from `state` with leading axis N."""
        deter = self._advance(self.flat(state['stoch']), state['deter'], action)
        return self.prior(deter, noise, member)

    def prior(self, deter: tf.Tensor, noise: tf.Tensor | None, member=0) -> State:
        """Prior state for the recurrent states `[..., deter]`; `noise [..., stoch]` or None."""
        copies = forked(deter, len(self._img_out))
        raws = [
            dist(normed(out, norm, self.act, copy))
            for copy, (out, norm, dist) in zip(copies, self._members(), strict=True)
        ]
        return self._draw(raws[0] if len(raws) == 1 else tf.stack(raws)[member], deter, noise)

    def _advance(self, flat: tf.Tensor, deter: tf.Tensor, action: tf.Tensor) -> tf.Tensor:
        inputs = tf.concat([tf.cast(flat, self.dtype), tf.cast(action, self.dtype)], -1)
        hidden = normed(self.img_in, self.img_in_norm, self.act, inputs)
        parts = self.gru(tf.concat([hidden, tf.cast(deter, self.dtype)], -1))
        return recur(self.gru_norm(tf.cast(parts, tf.float32)), deter)

    def _draw(self, raw: tf.Tensor, deter: tf.Tensor, noise: tf.Tensor | None) -> State:
        stats = self.statistics(raw)
        return {**stats, 'stoch': self.distribution(stats).sample(noise), 'deter': deter}


def recur(gates: tf.Tensor, deter: tf.Tensor) -> tf.Tensor:
    """The state `[batch, deter]` after a step of a GRU that resets the candidate's input.

        candidate = tanh(sigmoid(reset) candidate),  z = sigmoid(update - 1)
        deter' = z candidate + (1 - z) deter

    `gates [batch, 3 deter]` are the layer's normalised output for reset, candidate and update; both
    are float32.
    """
    reset, candidate, update = tf.split(gates, 3, -1)
    candidate = tf.tanh(tf.sigmoid(reset) * candidate)
    update = tf.sigmoid(update + UPDATE_BIAS)
    return update * candidate + (1 - update) * deter
