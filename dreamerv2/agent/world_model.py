"""World model: encoder, recurrent state-space model and the heads it is trained with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from dreamerv2.agent.kl import kl_loss, stop_gradient
from dreamerv2.agent.returns import masked_mean
from dreamerv2.nets.decoder import Decoder
from dreamerv2.nets.encoder import Encoder, Shapes
from dreamerv2.nets.forks import forked
from dreamerv2.nets.kernels import PLAIN, Kernels
from dreamerv2.nets.mlp import Head
from dreamerv2.nets.rssm import RSSM, State

Tensors = dict[str, tf.Tensor]

CLIP_REWARDS = {'identity': tf.identity, 'sign': tf.sign, 'tanh': tf.tanh}


class WorldModel(tf.Module):
    """Learns to predict observations, rewards and discounts (arXiv:2010.02193, section 2.1).

    Args are those of the configuration; `shapes` are the observations' without batch axes, and
    `kernels` say how it is computed.
    """

    def __init__(
        self,
        shapes: Shapes,
        action_size: int,
        *,
        rssm: Mapping,
        encoder: Mapping,
        decoder: Mapping,
        reward_head: Mapping,
        discount_head: Mapping,
        loss_scales: Mapping[str, float],
        kl: Mapping,
        grad_heads: list[str],
        pred_discount: bool,
        discount: float,
        clip_rewards: str,
        rng: np.random.Generator,
        dtype: tf.DType,
        kernels: Kernels = PLAIN,
    ):
        super().__init__()
        kwargs = {'rng': rng, 'dtype': dtype, 'kernels': kernels}
        self._dtype, self._kernels = dtype, kernels
        self._loss_scales, self._kl = dict(loss_scales), dict(kl)
        self._grad_heads, self._discount = list(grad_heads), discount
        self._clip_reward = CLIP_REWARDS[clip_rewards]
        self.encoder = Encoder(shapes, **encoder, **kwargs)
        self.rssm = RSSM(self.encoder.size, action_size, **rssm, **kwargs)
        size = self.rssm.feature_size
        self.decoder = Decoder(size, shapes, **decoder, **kwargs)
        self.reward = Head(size, [], **reward_head, **kwargs)
        self.discount = Head(size, [], **discount_head, **kwargs) if pred_discount else None
        unknown = sorted(set(grad_heads) - {'decoder', 'reward', 'discount'})
        if unknown or ('discount' in grad_heads and not pred_discount):
            raise ValueError(
                f'grad_heads {list(grad_heads)} may name decoder, reward and, '
                'with pred_discount, discount.'
            )

    def parameters(self) -> dict[str, tf.Variable]:
        parts: dict[str, Any] = {'rssm': self.rssm, 'encoder': self.encoder}
        parts.update(decoder=self.decoder, reward=self.reward)
        if self.discount is not None:
            parts['discount'] = self.discount
        return {f'{p}/{k}': v for p, part in parts.items() for k, v in part.parameters().items()}

    def preprocess(self, data: Mapping[str, tf.Tensor]) -> Tensors:
        """Images to [-0.5, 0.5], rewards clipped, discount target from `is_terminal`."""
        out = {}
        for key, value in data.items():
            if key.startswith('log_'):
                continue
            if value.dtype == tf.uint8:
                value = tf.cast(value, tf.float32) / 255 - 0.5
            out[key] = value
        if 'reward' in out:
            out['reward'] = self._clip_reward(tf.cast(out['reward'], tf.float32))
        if 'is_terminal' in out:
            out['discount'] = self._discount * (1 - tf.cast(out['is_terminal'], tf.float32))
        return out

    def loss(
        self,
        data: Mapping[str, tf.Tensor],
        state: State,
        noise: tf.Tensor | None,
        member: tf.Tensor | int = 0,
    ) -> tuple[tf.Tensor, dict[str, Any], Tensors]:
        """Loss of a batch (thesis, equation 3).

        Args:
            data: batch `[batch, time, ...]` as the replay gives it, with `mask`.
            state: latent state before the first row.
            noise: uniform numbers for the posterior's draws, or None for the mode.
            member: which prior head to use.

        Returns:
            The loss, a dict of what was computed on the way, and metrics.
        """
        data = self.preprocess(data)
        mask = tf.cast(data['mask'], tf.float32)
        embed = self.encoder(data)
        posterior, prior = self.rssm.observe(
            embed, data['action'], data['is_first'], state, noise, member=member
        )
        kl, kl_value = kl_loss(posterior, prior, mask, **self._kl)
        features = self.rssm.features(posterior)
        dists = self.heads(features, self._grad_heads)
        rows = {key: -dist.log_prob(data[key]) for key, dist in dists.items()}
        losses = {'kl': kl, **{key: masked_mean(row, mask) for key, row in rows.items()}}
        scaled = [self._loss_scales.get(key, 1.0) * value for key, value in losses.items()]
        total = tf.reduce_sum(tf.stack(scaled))  # As a sum of many terms its order would vary.
        outputs = {
            'embed': embed,
            'features': features,
            'posterior': posterior,
            'prior': prior,
            'kl': kl_value,
            'rows': rows,
            'dists': dists,
            'last_state': {key: value[:, -1] for key, value in posterior.items()},
            'mask': mask,
        }
        metrics = {f'{key}_loss': value for key, value in losses.items()}
        metrics['model_kl'] = masked_mean(kl_value, mask)
        metrics['prior_ent'] = masked_mean(self.rssm.entropy(prior), mask)
        metrics['post_ent'] = masked_mean(self.rssm.entropy(posterior), mask)
        return total, outputs, metrics

    def level_metrics(
        self, outputs: Mapping[str, Any], level: tf.Tensor, names: Sequence[str]
    ) -> Tensors:
        """Losses by level: `image_loss/NAME` and so on, each `[sum, rows]` over its rows.

        Args:
            outputs: what `loss` computed on the way.
            level: `[batch, time]`, index into `names`.
            names: the levels' names.
        """
        values = {f'{key}_loss': row for key, row in outputs['rows'].items()}
        values['model_kl'] = outputs['kl']
        stacked = tf.stack([tf.reshape(value, [-1]) for value in values.values()])
        rows = tf.one_hot(tf.reshape(level, [-1]), len(names))
        rows = rows * tf.reshape(outputs['mask'], [-1, 1])
        sums = tf.matmul(stacked, rows)
        counts = tf.reduce_sum(rows, 0)
        return {
            f'{key}/{name}': tf.stack([sums[i, j], counts[j]])
            for i, key in enumerate(values)
            for j, name in enumerate(names)
        }

    def heads(self, features: tf.Tensor, grad_heads: list[str]) -> dict[str, Any]:
        """Distributions over every target; heads not in `grad_heads` leave the model unmoved."""

        parts = ['decoder', 'reward'] + (['discount'] if self.discount is not None else [])
        inputs = {
            name: copy if name in grad_heads else tf.stop_gradient(copy)
            for name, copy in zip(parts, forked(features, len(parts)), strict=True)
        }
        dists = dict(self.decoder(inputs['decoder']))
        dists['reward'] = self.reward(inputs['reward'])
        if self.discount is not None:
            dists['discount'] = self.discount(inputs['discount'])
        return dists

    def imagine(
        self,
        actor: Head,
        start: State,
        is_terminal: tf.Tensor,
        horizon: int,
        noise: tuple[tf.Tensor, tf.Tensor] | None,
        members: tf.Tensor | None = None,
        differentiable: bool = True,
        with_states: bool = False,
        sharded: bool = False,
    ) -> Tensors:
        """Rolls the policy out in latent space from every row of a batch.

            States:    [z0]  z1   z2   z3      (z0 from the replay)
            Actions:    0    a1   a2   a3      (a_t led to z_t)
            Discounts: [d0]  d1   d2   d3      (d0 from the replay)
            Weights:    1    d0  d0 d1  ...

        Args:
            actor: the policy, from features `[N, features]` to an action distribution.
            start: states `[batch, time, ...]`.
            is_terminal: `[batch, time]`; imagining goes no further from there.
            horizon: number of imagined steps.
            noise: uniform numbers for states `[horizon, N, stoch]` and for actions
                `[horizon, N, ...]`, or None for modes.
            members: prior head of each step, `[horizon]` int32; None for the first.
            differentiable: whether gradients shall flow through the rollout.
            with_states: keep the states too, which nothing needs for training.
            sharded: whether rollouts that are not differentiable may be computed in shards.

        Returns:
            Tensors `[horizon + 1, batch * time, ...]`: `feat`, `action`, `discount`, `weight`,
            and the state's where asked for.
        """
        start = {k: tf.reshape(v, [-1, *v.shape[2:]]) for k, v in stop_gradient(start).items()}
        features = self.rssm.features(start)

        def step(carry, now):
            state, features = carry
            policy = actor(tf.stop_gradient(features))
            action = policy.sample(now.get('action'))
            if not differentiable:
                action = tf.stop_gradient(action)
            state = self.rssm.imagine_step(state, action, now.get('state'), now.get('member', 0))
            features = self.rssm.features(state)
            kept = state if with_states else {}
            return (state, features), {**kept, 'feat': features, 'action': action}

        steps = {'index': tf.range(horizon)}
        if members is not None:
            steps['member'] = members
        draws = {} if noise is None else dict(zip(('state', 'action'), noise, strict=True))

        rollout = self._kernels.roll_out(
            step,
            (start, features),
            steps,
            draws,
            modules=(self.rssm, actor),
            sharded=sharded and not differentiable,
        )
        first = {**start, 'feat': features, 'action': tf.zeros_like(rollout['action'][0])}
        sequence = {k: tf.concat([first[k][None], v], 0) for k, v in rollout.items()}
        if not differentiable:
            sequence = stop_gradient(sequence)
        shape = sequence['feat'].shape[:-1]
        if self.discount is not None:
            discount = self.discount(sequence['feat']).mean()
            true_first = self._discount * (1 - tf.cast(tf.reshape(is_terminal, [-1]), tf.float32))
            discount = tf.concat([true_first[None], discount[1:]], 0)
        else:
            discount = self._discount * tf.ones(shape)
        sequence['discount'] = discount
        # A discount says whether the state after it counts, so weights lag by one step.
        sequence['weight'] = tf.math.cumprod(
            tf.concat([tf.ones_like(discount[:1]), discount[:-1]], 0), 0
        )
        return sequence
