"""Actor and critic, trained on imagined rollouts (arXiv:2010.02193, section 2.2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from dreamerv2.agent.returns import (
    ReturnNormalizer,
    RewardNormalizer,
    lambda_return,
    replayed_return,
)
from dreamerv2.agent.schedules import schedule
from dreamerv2.nets.distributions import masked_mean
from dreamerv2.nets.mlp import Head

Tensors = dict[str, tf.Tensor]


class ActorCritic(tf.Module):
    """Policy, value function and the slow copy of it that gives the targets.

    Args:
        features: size of the latent features.
        action_size: length of an action vector.
        discrete: whether it is one-hot.
        config: the configuration, of which the sections of actor and critic count.
        levels: number of levels.
        made: `rng`, `dtype` and `kernels` of the networks.
    """

    def __init__(
        self,
        features: int,
        action_size: int,
        discrete: bool,
        config: Mapping[str, Any],
        *,
        levels: int = 1,
        **made: Any,
    ):
        super().__init__()
        self._config, self.action_size = config, action_size
        actor = dict(config['actor'])
        if actor['dist'] == 'auto':
            actor['dist'] = 'onehot' if discrete else 'trunc_normal'
        self.actor_grad = config['actor_grad']
        if self.actor_grad == 'auto':
            self.actor_grad = 'reinforce' if discrete else 'dynamics'
        # Shape of the uniform numbers that an action is drawn from, without batch axes.
        self.noise_shape = [] if actor['dist'] == 'onehot' else [action_size]
        self.actor = Head(features, [action_size], **actor, **made)
        self.critic = self.slow_critic = Head(features, [], **config['critic'], **made)
        if config['slow_target']:
            self.slow_critic = Head(features, [], **config['critic'], **made)
        self.reward_norm = RewardNormalizer(**config['reward_norm'])
        self.return_norm = ReturnNormalizer(levels, **config['return_norm'])
        self.updates = tf.Variable(0, dtype=tf.int64)
        if config['slow_target']:
            self._copy_slow(1.0)

    def parameters(self) -> dict[str, tf.Variable]:
        parts = {'actor': self.actor, 'critic': self.critic}
        if self._config['slow_target']:
            parts['slow_critic'] = self.slow_critic
        return {f'{p}/{k}': v for p, part in parts.items() for k, v in part.parameters().items()}

    def targets(self, sequence: Tensors, mask: tf.Tensor) -> tuple[tf.Tensor, Tensors]:
        """Lambda-targets of an imagined sequence.

            States:     [z0]  [z1]  [z2]  [z3]
            Rewards:    [r0]  [r1]  [r2]   r3
            Values:     [v0]  [v1]  [v2]  [v3]
            Discounts:  [d0]  [d1]  [d2]   d3
            Targets:     t0    t1    t2

        Of a sequence `[horizon + 1, N, ...]` with `reward`; `mask [horizon + 1, N]` says which rows
        count. Returns targets `[horizon, N]` and metrics, and puts into the sequence `value`, which
        the targets bootstrap from and the actor takes as baseline, and the slow critic's
        `slow_value`.
        """
        slow = value = self.slow_critic(sequence['feat']).mode()
        if self._config['bootstrap'] == 'online':
            value = self.critic(sequence['feat']).mode()
        sequence['value'], sequence['slow_value'] = value, slow
        reward, discount = sequence['reward'][:-1], sequence['discount'][:-1]
        lambda_ = self._config['discount_lambda']
        target = lambda_return(reward, value[:-1], discount, value[-1], lambda_)
        metrics = {
            'critic_slow': masked_mean(slow, mask),
            'critic_target': masked_mean(target, mask[:-1]),
        }
        return target, metrics

    def actor_loss(
        self, sequence: Tensors, target: tf.Tensor, mask: tf.Tensor, step: tf.Tensor, scale=1.0
    ) -> tuple[tf.Tensor, Tensors]:
        """Loss of the policy (arXiv:2010.02193, equation 6).

            Actions:      0   [a1]  [a2]   a3
                             ^  |  ^  |  ^  |
                            /   v /   v /   v
            States:     [z0]->[z1]-> z2 -> z3
            Targets:     t0   [t1]  [t2]
            Baselines:  [v0]  [v1]   v2    v3
            Weights:    [w0]  [w1]   w2    w3
            Loss:              l1    l2

        The first target is lost because its action came from the replay, the last action because
        no target follows it.

        Args:
            sequence: `[horizon + 1, N, ...]` with `value`, from `targets`.
            target: `[horizon, N]`.
            mask: rows that count, `[horizon + 1, N]`.
            step: agent steps so far, for the schedules.
            scale: what the returns are divided by, `[N]`.
        """
        target, baseline = target[1:] / scale, sequence['value'][:-2] / scale
        policy = self.actor(tf.stop_gradient(sequence['feat'][:-2]))
        metrics = {}
        if self.actor_grad == 'dynamics':
            objective = target
        else:
            advantage = tf.stop_gradient(target - baseline)
            action = sequence['action'][1:-1]
            if self.actor_grad == 'reinforce':
                action = tf.stop_gradient(action)
            objective = policy.log_prob(action) * advantage
            if self.actor_grad == 'both':
                mix = schedule(self._config['actor_grad_mix'], step)
                objective = mix * target + (1 - mix) * objective
                metrics['actor_grad_mix'] = mix
        entropy = policy.entropy()
        entropy_scale = schedule(self._config['actor_ent'], step)
        objective += entropy_scale * entropy
        weight = tf.stop_gradient(sequence['weight'])[:-2]
        metrics['actor_ent'] = masked_mean(entropy, mask[:-2])
        metrics['actor_ent_scale'] = entropy_scale
        return -masked_mean(weight * objective, mask[:-2]), metrics

    def critic_loss(
        self, sequence: Tensors, target: tf.Tensor, mask: tf.Tensor
    ) -> tuple[tf.Tensor, Tensors]:
        """Log-likelihood of the targets: squared error with `mse` (arXiv:2010.02193, equation 5).

        With `slow_regularizer`, that of the slow critic's values, too (arXiv:2301.04104v2).

        States:     [z0]  [z1]  [z2]   z3
        Values:     [v0]  [v1]  [v2]   v3
        Weights:    [ 1]  [w1]  [w2]   w3
        Targets:    [t0]  [t1]  [t2]
        Loss:        l0    l1    l2
        """
        dist = self.critic(tf.stop_gradient(sequence['feat'][:-1]))
        weight = tf.stop_gradient(sequence['weight'])[:-1]
        fit = dist.log_prob(tf.stop_gradient(target))
        if self._config['slow_regularizer']:
            slow = tf.stop_gradient(sequence['slow_value'][:-1])
            fit += self._config['slow_regularizer'] * dist.log_prob(slow)
        loss = -masked_mean(fit * weight, mask[:-1])
        return loss, {'critic': masked_mean(dist.mode(), mask[:-1])}

    def replayed_critic_loss(
        self, feat: tf.Tensor, target: tf.Tensor, replayed: Tensors, mask: tf.Tensor
    ) -> tuple[tf.Tensor, Tensors]:
        """Loss of the critic on the rows of a batch, with the rewards and ends that followed them.

        It bootstraps from the imagined returns (arXiv:2301.04104v2, "Critic learning", which weighs
        this loss by 0.3), and keeps the critic from being too hopeful where the world model does
        not foresee an end.

        Args, `[batch, time, ...]`:
            feat: posterior features.
            target: the imagined return from each row.
            replayed: of the batch `reward` as it is learned, `is_terminal`, `is_first`.
            mask: rows that count.
        """
        reward = self.reward_norm.scaled(replayed['reward'])
        discount = self._config['discount'] * (1 - tf.cast(replayed['is_terminal'], tf.float32))
        goes_on = mask[:, 1:] * (1 - tf.cast(replayed['is_first'][:, 1:], tf.float32))
        along = reward, target, discount, tf.pad(goes_on, [[0, 0], [0, 1]])
        reward, value, discount, followed = map(tf.transpose, along)
        lambda_ = self._config['discount_lambda']
        returns = tf.transpose(replayed_return(reward, value, discount, followed, lambda_))
        dist = self.critic(tf.stop_gradient(feat))
        fit = dist.log_prob(tf.stop_gradient(returns))
        metrics = {
            'critic_replayed': masked_mean(dist.mode(), mask),
            'critic_replayed_target': masked_mean(returns, mask),
        }
        return -self._config['critic_replay'] * masked_mean(fit, mask), metrics

    def update_slow_critic(self, updated: tf.Tensor | bool = True):
        """Moves the slow critic after an update: after the first, then every `slow_target_update`.

        Does nothing where the critic was not `updated`.
        """
        if not self._config['slow_target']:
            return
        due = tf.equal(self.updates % self._config['slow_target_update'], 0) & updated
        fraction = float(self._config['slow_target_fraction'])
        fraction = tf.where(tf.equal(self.updates, 0), 1.0, fraction)
        self._copy_slow(tf.where(due, fraction, 0.0))
        self.updates.assign_add(tf.cast(updated, tf.int64))

    def _copy_slow(self, mix: tf.Tensor | float):
        critic, slow = self.critic.parameters(), self.slow_critic.parameters()
        for name, variable in slow.items():
            variable.assign(mix * critic[name] + (1 - mix) * variable)
