"""One update of everything: world model, then actor, then critic, as one compiled call."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from dreamerv2.agent.actor_critic import ActorCritic
from dreamerv2.agent.calls import split_seed
from dreamerv2.agent.exploration import Greedy
from dreamerv2.agent.schedules import schedule
from dreamerv2.agent.world_model import WorldModel
from dreamerv2.nets.optimizer import Optimizer
from dreamerv2.nets.rssm import State

Tensors = dict[str, tf.Tensor]


class PendingUpdate(NamedTuple):
    """An update whose world model is updated: what actor and critic learn from.

    Attributes:
        start: posterior states `[batch, length, ...]`, where rollouts begin.
        rows: of the batch, see `Learner.rows_of`.
        seed: int32 [2], or None.
        step: agent steps at the update.
        finite: whether the world model's loss and gradients were finite.
    """

    start: State
    rows: Tensors
    seed: tf.Tensor | None
    step: tf.Tensor
    finite: tf.Tensor


class Learner:
    """Updates the two parts of the agent.

    Args:
        world_model, actor_critic, exploration: what learns.
        config: the configuration, of which optimizers, horizon and `init.freeze` count. Parameters
            whose full name matches the latter keep their values: they take no part in gradients,
            clipping or decay.
        scaled: scale losses (float16).
        sharded: whether imagined rollouts may be computed in shards (`Kernels.roll_out`).
        levels: their names; with several, the model's losses are also logged by level.
    """

    def __init__(
        self,
        world_model: WorldModel,
        actor_critic: ActorCritic,
        exploration: Greedy,
        config: Mapping[str, Any],
        *,
        scaled: bool,
        sharded: bool = True,
        levels: Sequence[str] = (),
    ):
        self._world_model, self._actor_critic = world_model, actor_critic
        self._exploration = exploration
        self._horizon, self._sharded = config['imag_horizon'], sharded
        self._critic_replay = config['critic_replay']
        self._levels = list(levels) if len(levels) > 1 else []
        parts: dict[str, tuple[str, Any]] = {
            'model': ('', world_model),
            'actor': ('actor/', actor_critic.actor),
            'critic': ('critic/', actor_critic.critic),
        }
        freeze = config['init']['freeze']
        self._optimizers = {}
        for name, (prefix, part) in parts.items():
            free = part.parameters()
            if freeze:
                free = {k: v for k, v in free.items() if not re.fullmatch(freeze, prefix + k)}
            options = dict(config[f'{name}_opt'])
            if isinstance(options['lr'], str):
                options['lr'] = functools.partial(schedule, options['lr'])
            self._optimizers[name] = Optimizer(free, **options, scaled=scaled)
        self._skipped = {n: tf.Variable(0, dtype=tf.int64) for n in ('updates', 'in_a_row')}

    def variables(self) -> dict[str, tf.Variable]:
        """Optimizer state, reward scale and the slow critic's clock, by name."""
        found = {}
        for name, optimizer in self._optimizers.items():
            found.update({f'{name}_opt/{k}': v for k, v in optimizer.state().items()})
        found['reward_norm/magnitude'] = self._actor_critic.reward_norm.magnitude
        if self._actor_critic.return_norm.range is not None:
            found['return_norm/range'] = self._actor_critic.return_norm.range
        found.update(self._exploration.variables())
        found['slow_critic_updates'] = self._actor_critic.updates
        found.update({f'skipped/{name}': count for name, count in self._skipped.items()})
        return found

    def halves(self) -> tuple[list[tf.Variable], list[tf.Variable]]:
        """The variables that `begin` changes, and all others: those that `complete` changes."""
        others = self.variables()
        of_model = [others.pop(name) for name in [*others] if name.startswith('model_opt/')]
        model = [*self._world_model.parameters().values(), *of_model]
        behaviors = {**self._actor_critic.parameters(), **self._exploration.parameters()}
        return model, [*behaviors.values(), *others.values()]

    def update(
        self, data: Tensors, state: State, seed: tf.Tensor | None, step: tf.Tensor
    ) -> tuple[State, Tensors]:
        """One update on a batch `[batch, length, ...]` with `mask`.

        Where NaN or infinity comes up, nothing of the world model is changed, nor of actor and
        critic, or only of the latter two when the world model's step was finite. Such updates are
        counted: `skipped_updates`, and `skipped_in_a_row` up to this one.

        Args:
            data: batch as tensors.
            state: latent state before the first row.
            seed: int32 [2] for all draws; None takes modes everywhere.
            step: agent steps so far, for the schedules.

        Returns the latent state behind the last row, and metrics.
        """
        state, pending, metrics = self.begin(data, state, seed, step)
        return state, {**metrics, **self.complete(pending)}

    def begin(
        self, data: Tensors, state: State, seed: tf.Tensor | None, step: tf.Tensor
    ) -> tuple[State, PendingUpdate, Tensors]:
        """The first half of an update, that of the world model; args as those of `update`.

        Returns the latent state behind the last row, what `complete` needs, and metrics.
        """
        optimizer, rssm = self._optimizers['model'], self._world_model.rssm
        noise, member, later = None, 0, None
        if seed is not None:
            seed, later, _ = split_seed(seed, 3)
            noise = rssm.noise(list(data['action'].shape[:2]), seed)
            member = rssm.pick_member(seed + 1)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(optimizer.variables_to_watch)
            loss, outputs, metrics = self._world_model.loss(data, state, noise, member)
        gradients = optimizer.gradients(tape, loss)
        metrics.update(optimizer.apply(gradients, 'model', step=step))
        if self._levels:
            more = self._world_model.level_metrics(outputs, data['level'], self._levels)
            metrics.update(more)
        # What is carried on must not spoil the next batch.
        last = outputs['last_state']
        last = {k: tf.where(tf.math.is_finite(v), v, tf.zeros_like(v)) for k, v in last.items()}
        start, rows = outputs['posterior'], self.rows_of(data)
        return last, PendingUpdate(start, rows, later, step, gradients.finite), metrics

    def complete(self, pending: PendingUpdate) -> Tensors:
        """The second half of an update, that of actor and critic; its metrics."""
        finite, metrics = self.update_behavior(*pending)
        rows = pending.rows
        metrics.update(self._exploration.update(pending.start, rows['mask'], rows['level']))
        skipped = tf.cast(tf.logical_not(finite), tf.int64)
        total, in_a_row = self._skipped['updates'], self._skipped['in_a_row']
        metrics['skipped_updates'] = total.assign_add(skipped)
        metrics['skipped_in_a_row'] = in_a_row.assign((in_a_row + 1) * skipped)
        return metrics

    def rows_of(self, data: Tensors) -> Tensors:
        """What actor and critic learn from of a batch, each `[batch, length]`.

        `mask`, `is_terminal` and `level` (0 where the batch does not tell, as with a single level);
        with `critic_replay` also `is_first` and `reward`, as it is learned.
        """
        end = data['is_terminal']
        level = tf.cast(data.get('level', tf.zeros(end.shape)), tf.int32)
        rows = {'is_terminal': end, 'mask': tf.cast(data['mask'], tf.float32), 'level': level}
        if self._critic_replay:
            reward = self._world_model.preprocess({'reward': data['reward']})['reward']
            rows.update(reward=reward, is_first=data['is_first'])
        return rows

    def update_behavior(
        self, start: State, rows: Tensors, seed: tf.Tensor | None, step: tf.Tensor, allowed=True
    ) -> tuple[tf.Tensor, Tensors]:
        """Updates actor, critic and slow critic on rollouts from `start [batch, time, ...]`.

        Returns whether they were (`allowed`, and losses and gradients finite), and metrics.
        """
        actor_opt, critic_opt = self._optimizers['actor'], self._optimizers['critic']
        behavior, mask = self._actor_critic, rows['mask']
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(actor_opt.variables_to_watch)
            sequence, target, weight, metrics = self.imagine(start, rows['is_terminal'], mask, seed)
            level = tf.reshape(rows['level'], [-1])
            scale, more = behavior.return_norm(target, weight[:-1], level)
            metrics.update(more)
            loss, more = behavior.actor_loss(sequence, target, weight, step, scale)
        metrics.update(more)
        with tf.GradientTape(watch_accessed_variables=False) as critic_tape:
            critic_tape.watch(critic_opt.variables_to_watch)
            critic_loss, more = behavior.critic_loss(sequence, target, weight)
            metrics.update(more)
            if self._critic_replay:
                first = tf.reshape(target[0], mask.shape)
                feat = self._world_model.rssm.features(start)
                loss_there, more = behavior.replayed_critic_loss(feat, first, rows, mask)
                critic_loss += loss_there
                metrics.update(more)
        actor = actor_opt.gradients(tape, loss)
        critic = critic_opt.gradients(critic_tape, critic_loss)
        finite = actor.finite & critic.finite & allowed
        metrics.update(actor_opt.apply(actor, 'actor', finite, step))
        metrics.update(critic_opt.apply(critic, 'critic', finite, step))
        behavior.update_slow_critic(finite)
        return finite, metrics

    def imagine(
        self, start: State, is_terminal, mask, seed: tf.Tensor | None, with_states: bool = False
    ) -> tuple[Tensors, tf.Tensor, tf.Tensor, Tensors]:
        """Imagined sequence with rewards, its targets, its rows' mask and metrics.

        A rollout from a row whose mask is 0 has mask 0 throughout.
        """
        behavior, rssm = self._actor_critic, self._world_model.rssm
        rows = tf.reshape(mask, [1, -1]) * tf.ones([self._horizon + 1, 1])
        noise, members = None, None
        if seed is not None:
            lead, (states, actions) = [self._horizon, rows.shape[1]], split_seed(seed, 2)
            drawn = tf.random.stateless_uniform([*lead, *behavior.noise_shape], actions)
            noise = rssm.noise(lead, states), drawn
            members = tf.stack([rssm.pick_member(seed + i) for i in range(self._horizon)])
        sequence = self._world_model.imagine(
            behavior.actor,
            start,
            is_terminal,
            self._horizon,
            noise,
            members,
            differentiable=behavior.actor_grad != 'reinforce',
            with_states=with_states,
            sharded=self._sharded,
        )
        reward = self._world_model.heads['reward'](sequence['feat']).mode()
        sequence['reward'], metrics = behavior.reward_norm(reward, rows)
        target, more = behavior.targets(sequence, rows)
        return sequence, target, rows, {**metrics, **more}
