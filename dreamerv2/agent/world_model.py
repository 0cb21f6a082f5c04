"""World model: encoder, recurrent state-space model and the heads it is trained with."""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from dreamerv2 import plugins
from dreamerv2.agent.kl import kl_loss, stop_gradient
from dreamerv2.nets.coders import Decoder, Encoder, Shapes
from dreamerv2.nets.distributions import masked_mean
from dreamerv2.nets.layers import PLAIN
from dreamerv2.nets.mlp import Head
from dreamerv2.nets.rssm import RSSM, State
from dreamerv2.nets.scan import forked, scan

Tensors = dict[str, tf.Tensor]

CLIP_REWARDS = {'identity': tf.identity, 'sign': tf.sign, 'tanh': tf.tanh}


class Target(NamedTuple):
    """What a head `NAME`, configured as `NAME_head`, learns to predict from the latent state.

    One that an installed package adds, `--heads NAME`, is configured as the reward's.

    Attributes:
        entry: of the batch, `[batch, time]`.
        of: from the entry in float32 and the configuration to the target of the same shape.
        wanted: from the configuration to whether there is such a head.
        network: what differs from the reward's head, such as `{'dist': 'binary'}`; of added ones.
        moves: whether an added one's gradient reaches the latent states.
    """

    entry: str
    of: Callable[[tf.Tensor, Mapping[str, Any]], tf.Tensor]
    wanted: Callable[[Mapping[str, Any]], bool] = lambda config: True
    network: Mapping[str, Any] = types.MappingProxyType({})
    moves: bool = False


TARGETS = {
    'reward': Target('reward', lambda reward, config: CLIP_REWARDS[config['clip_rewards']](reward)),
    'discount': Target(
        'is_terminal',
        lambda end, config: config['discount'] * (1 - end),
        lambda config: config['pred_discount'],
    ),
}


def added_targets(config: Mapping[str, Any]) -> dict[str, Target]:
    """The targets of the heads of installed packages that the configuration names.

    Raises ValueError where one has another's name or is no target.
    """
    found = {}
    for name in config['heads']:
        target = plugins.load('heads', name)
        if name in (*TARGETS, 'decoder', 'kl', 'image') or not isinstance(target, Target):
            raise ValueError(
                f'heads {name}: expected a dreamerv2.agent.world_model.Target, with a name of '
                'its own'
            )
        found[name] = target
    return found


class WorldModel(tf.Module):
    """Learns to predict observations, rewards and discounts (arXiv:2010.02193, section 2.1).

    Args:
        shapes: of the observations, without batch axes.
        action_size: length of an action vector.
        config: the configuration, of which the sections of the networks and losses count.
        made: `rng`, `dtype` and `kernels` of the networks.

    Attributes:
        decoder: predicts the observations.
        heads: what predicts from the latent features: the decoder, those of `TARGETS`, added ones.
        needs: entries of the batch that the heads learn from, beside the observations.

    Raises:
        ValueError: `grad_heads` or `loss_scales` name heads or losses that do not exist.
    """

    LOSSES = ('kl',)  # Those that are not the loss of a head.

    def __init__(self, shapes: Shapes, action_size: int, config: Mapping[str, Any], **made: Any):
        super().__init__()
        self._config, self._kernels = config, made.get('kernels', PLAIN)
        self.encoder = Encoder(shapes, **config['encoder'], **made)
        self.rssm = RSSM(self.encoder.size, action_size, **config['rssm'], **made)
        size = self.rssm.feature_size
        self.decoder = Decoder(size, shapes, **config['decoder'], **made)
        self.heads: dict[str, Any] = {'decoder': self.decoder}
        self._targets = TARGETS | added_targets(config)
        targets = {name: target for name, target in self._targets.items() if target.wanted(config)}
        for name, target in targets.items():
            network = config[f'{name}_head' if name in TARGETS else 'reward_head']
            self.heads[name] = Head(size, [], **{**network, **target.network}, **made)
        self.needs = sorted({target.entry for target in targets.values()})
        self._check(config)

    def _check(self, config: Mapping[str, Any]):
        for name in sorted(set(config['grad_heads']) - set(self.heads)):
            raise ValueError(f'grad_heads names {name}, but the heads are {", ".join(self.heads)}')
        observed = *self.decoder.cnn_keys, *self.decoder.mlp_keys
        losses = [*self.LOSSES, 'image', *observed, *self._targets]
        known = ', '.join(dict.fromkeys(losses))
        for name, scale in config['loss_scales'].items():
            if name not in losses and scale != 1:
                raise ValueError(
                    f'loss_scales.{name} is {scale}, but the losses are {known}: use one of these'
                )

    def parameters(self) -> dict[str, tf.Variable]:
        parts: dict[str, Any] = {'rssm': self.rssm, 'encoder': self.encoder, **self.heads}
        return {f'{p}/{k}': v for p, part in parts.items() for k, v in part.parameters().items()}

    def preprocess(self, data: Mapping[str, tf.Tensor]) -> Tensors:
        """Images to [-0.5, 0.5], and the heads' targets by name."""
        out = {
            key: tf.cast(value, tf.float32) / 255 - 0.5 if value.dtype == tf.uint8 else value
            for key, value in data.items()
            if not key.startswith('log_')
        }
        for name, target in self._targets.items():
            if target.entry in data:
                out[name] = target.of(tf.cast(data[target.entry], tf.float32), self._config)
        return out

    def loss(
        self, data: Mapping[str, tf.Tensor], state: State, noise: tf.Tensor | None, member=0
    ) -> tuple[tf.Tensor, dict[str, Any], Tensors]:
        """Loss of a batch (thesis, equation 3).

        Args:
            data: batch `[batch, time, ...]` as the replay gives it, with `mask`.
            state: latent state before the first row.
            noise: uniform numbers for the posterior's draws, or None for the mode.
            member: which prior head to use.

        Returns the loss, a dict of what was computed on the way, and metrics.
        """
        data = self.preprocess(data)
        mask = tf.cast(data['mask'], tf.float32)
        embed = self.encoder(data)
        posterior, prior = self.rssm.observe(
            embed, data['action'], data['is_first'], state, noise, member=member
        )
        kl, kl_value = kl_loss(posterior, prior, mask, **self._config['kl'])
        features = self.rssm.features(posterior)
        dists = self.predict(features)
        rows = {key: -dist.log_prob(data[key]) for key, dist in dists.items()}
        losses = {'kl': kl, **{key: masked_mean(row, mask) for key, row in rows.items()}}
        scales = self._config['loss_scales']
        scaled = [scales.get(key, 1.0) * value for key, value in losses.items()]
        total = tf.reduce_sum(tf.stack(scaled))  # As a sum of many terms its order would vary.
        outputs = {'embed': embed, 'features': features, 'posterior': posterior, 'prior': prior}
        outputs.update(kl=kl_value, rows=rows, dists=dists, mask=mask)
        outputs['last_state'] = {key: value[:, -1] for key, value in posterior.items()}
        metrics = {f'{key}_loss': value for key, value in losses.items()}
        metrics['model_kl'] = masked_mean(kl_value, mask)
        metrics['prior_ent'] = masked_mean(self.rssm.entropy(prior), mask)
        metrics['post_ent'] = masked_mean(self.rssm.entropy(posterior), mask)
        return total, outputs, metrics

    def level_metrics(
        self, outputs: Mapping[str, Any], level: tf.Tensor, names: Sequence[str]
    ) -> Tensors:
        """Losses by level: `image_loss/NAME` and so on, each `[sum, rows]` over its rows.

        `outputs` are what `loss` computed on the way, `level [batch, time]` indexes into `names`.
        """
        values = {f'{key}_loss': row for key, row in outputs['rows'].items()}
        values['model_kl'] = outputs['kl']
        mask, level = (tf.reshape(x, [-1]) for x in (outputs['mask'], level))
        rows = mask[:, None] * tf.one_hot(level, len(names))
        sums = tf.matmul(tf.stack([tf.reshape(value, [-1]) for value in values.values()]), rows)
        counts = tf.reduce_sum(rows, 0)
        return {
            f'{key}/{name}': tf.stack([sums[i, j], counts[j]])
            for i, key in enumerate(values)
            for j, name in enumerate(names)
        }

    def predict(self, features: tf.Tensor) -> dict[str, Any]:
        """Distributions over every observation and target, by name.

        Heads that are not in `grad_heads` leave the rest of the model unmoved.
        """
        dists: dict[str, Any] = {}
        copies = forked(features, len(self.heads))
        for (name, head), copy in zip(self.heads.items(), copies, strict=True):
            added = name in self._config['heads'] and self._targets[name].moves
            moves = added or name in self._config['grad_heads']
            found = head(copy if moves else tf.stop_gradient(copy))
            dists.update(found if name == 'decoder' else {name: found})
        return dists

    def open_loop(self, start: State, action: tf.Tensor, noise: tf.Tensor | None) -> State:
        """Prior states `[time, N, ...]` that follow from `start [N, ...]`, with nothing seen.

        Actions are `[time, N, action_size]`, the noise of the draws `[time, N, stoch]` or None.
        """

        def step(state: State, now: Tensors) -> tuple[State, State]:
            state = self.rssm.imagine_step(state, now['action'], now.get('noise'))
            return state, state

        inputs = {'action': action} if noise is None else {'action': action, 'noise': noise}
        return scan(step, start, inputs)[1]

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
            noise: uniform numbers for states and actions, `[horizon, N, ...]`; None for modes.
            members: prior head of each step, `[horizon]` int32; None for the first.
            differentiable: whether gradients flow through the rollout.
            with_states: keep the states too, which nothing needs for training.
            sharded: whether rollouts that are not differentiable may be computed in shards.

        Returns `feat`, `action`, `discount`, `weight`, and the state's where asked for, each
        `[horizon + 1, batch * time, ...]`.
        """
        start = {k: tf.reshape(v, [-1, *v.shape[2:]]) for k, v in stop_gradient(start).items()}
        features = self.rssm.features(start)

        def step(carry, now):
            state, features = carry
            action = actor(tf.stop_gradient(features)).sample(now.get('action'))
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
        used, sharded = (self.rssm, actor), sharded and not differentiable
        rollout = self._kernels.roll_out(step, (start, features), steps, draws, used, sharded)
        first = {**start, 'feat': features, 'action': tf.zeros_like(rollout['action'][0])}
        sequence = {k: tf.concat([first[k][None], v], 0) for k, v in rollout.items()}
        if not differentiable:
            sequence = stop_gradient(sequence)
        sequence['discount'], sequence['weight'] = self._counts(sequence['feat'], is_terminal)
        return sequence

    def _counts(self, features: tf.Tensor, is_terminal: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Discounts of an imagined sequence, and how much each state counts, `[horizon + 1, N]`."""
        known = self._config['discount']
        discount = known * tf.ones(features.shape[:-1])
        if 'discount' in self.heads:
            predicted = self.heads['discount'](features).mean()
            goes_on = 1 - tf.cast(tf.reshape(is_terminal, [1, -1]), tf.float32)
            discount = tf.concat([known * goes_on, predicted[1:]], 0)
        # A discount says whether the state after it counts, so weights lag by one step.
        lagging = tf.concat([tf.ones_like(discount[:1]), discount[:-1]], 0)
        return discount, tf.math.cumprod(lagging, 0)
