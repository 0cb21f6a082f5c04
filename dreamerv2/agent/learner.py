"""One update of everything: world model, then actor, then critic, as one compiled call."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from dreamerv2.agent.actor_critic import ActorCritic
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
        is_terminal, mask, level: of the batch, `[batch, length]`.
        replayed: more of the batch, `[batch, length]`: `reward` as it is learned, `is_terminal`
            and `is_first`.
        seed: int32 [2], or None.
        step: agent steps at the update.
        finite: whether the world model's loss and gradients were finite.
    """

    start: State
    is_terminal: tf.Tensor
    mask: tf.Tensor
    level: tf.Tensor
    replayed: Tensors
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
        freeze = config['init']['freeze']
        parts = {
            'model': _free(world_model.parameters(), freeze),
            'actor': _free(actor_critic.actor.parameters(), freeze, 'actor/'),
            'critic': _free(actor_critic.critic.parameters(), freeze, 'critic/'),
        }
        self._optimizers = {
            name: Optimizer(part, **_with_rate(config[f'{name}_opt']), scaled=scaled)
            for name, part in parts.items()
        }
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
        """One update on a batch `[batch, length, ...]`.

        Where NaN or infinity comes up, nothing of the world model is changed, nor of actor and
        critic, or only of the latter two when the world model's step was finite. Such updates are
        counted: `skipped_updates`, and `skipped_in_a_row` up to this one.

        Args:
            data: batch as tensors, with `mask`.
            state: latent state before the first row.
            seed: int32 [2] for all draws; None takes modes everywhere.
            step: agent steps so far, for the schedules.

        Returns:
            The latent state behind the last row, and metrics.
        """
        state, pending, metrics = self.begin(data, state, seed, step)
        return state, {**metrics, **self.complete(pending)}

    def begin(
        self, data: Tensors, state: State, seed: tf.Tensor | None, step: tf.Tensor
    ) -> tuple[State, PendingUpdate, Tensors]:
        """The first half of an update, that of the world model; args as those of `update`.

        Returns:
            The latent state behind the last row, what `complete` needs, and metrics.
        """
        seeds = [None] * 3 if seed is None else tf.unstack(
            tf.random.experimental.stateless_split(seed, 3)
        )  # fmt: skip
        state, start, finite, metrics = self.update_model(data, state, seeds[0], step)
        mask = tf.cast(data['mask'], tf.float32)
        # What is carried on must not spoil the next batch.
        state = {k: tf.where(tf.math.is_finite(v), v, tf.zeros_like(v)) for k, v in state.items()}
        pending = PendingUpdate(
            start,
            data['is_terminal'],
            mask,
            level_of(data),
            self.replayed(data),
            seeds[1],
            step,
            finite,
        )
        return state, pending, metrics

    def complete(self, pending: PendingUpdate) -> Tensors:
        """The second half of an update, that of actor and critic; its metrics."""
        start, is_terminal, mask, level, replayed, seed, step, finite = pending
        finite, metrics = self.update_behavior(
            start, is_terminal, mask, seed, step, level, replayed, allowed=finite
        )
        metrics.update(self._exploration.update(start, mask, level))
        return {**metrics, **self._count(finite)}

    def replayed(self, data: Tensors) -> Tensors:
        """What the critic learns from the batch itself; nothing where `critic_replay` is off."""
        if not self._critic_replay:
            return {}
        reward = self._world_model.preprocess({'reward': data['reward']})['reward']
        return {'reward': reward, **{key: data[key] for key in ('is_terminal', 'is_first')}}

    def _count(self, finite: tf.Tensor) -> Tensors:
        skipped = tf.cast(tf.logical_not(finite), tf.int64)
        total, in_a_row = self._skipped['updates'], self._skipped['in_a_row']
        return {
            'skipped_updates': total.assign_add(skipped),
            'skipped_in_a_row': in_a_row.assign((in_a_row + 1) * skipped),
        }

    def update_model(
        self, data: Tensors, state: State, seed: tf.Tensor | None, step: tf.Tensor
    ) -> tuple[State, State, tf.Tensor, Tensors]:
        """Updates the world model, if it can.

        Returns:
            The last state, all posterior states, whether loss and gradients were finite, metrics.
        """
        optimizer, rssm = self._optimizers['model'], self._world_model.rssm
        noise, member = None, 0
        if seed is not None:
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
        return outputs['last_state'], outputs['posterior'], gradients.finite, metrics

    def update_behavior(
        self,
        start: State,
        is_terminal: tf.Tensor,
        mask: tf.Tensor,
        seed: tf.Tensor | None,
        step: tf.Tensor,
        level: tf.Tensor | None = None,
        replayed: Tensors | None = None,
        allowed: tf.Tensor | bool = True,
    ) -> tuple[tf.Tensor, Tensors]:
        """Updates actor, critic and slow critic on rollouts from `start [batch, time, ...]`.

        `level [batch, time]` says which range of returns a rollout belongs to; None for the first.
        `replayed` is what the critic learns from the batch itself; None or empty for nothing.

        Returns:
            Whether they were updated (`allowed`, and losses and gradients finite), and metrics.
        """
        actor_opt, critic_opt = self._optimizers['actor'], self._optimizers['critic']
        behavior = self._actor_critic
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(actor_opt.variables_to_watch)
            sequence, target, rows, metrics = self.imagine(start, is_terminal, mask, seed)
            scale = None
            if behavior.return_norm.range is not None:
                level = tf.zeros(mask.shape, tf.int32) if level is None else level
                scale, more = behavior.return_norm(target, rows[:-1], tf.reshape(level, [-1]))
                metrics.update(more)
            loss, more = behavior.actor_loss(sequence, target, rows, step, scale)
        metrics.update(more)
        with tf.GradientTape(watch_accessed_variables=False) as critic_tape:
            critic_tape.watch(critic_opt.variables_to_watch)
            critic_loss, more = behavior.critic_loss(sequence, target, rows)
            metrics.update(more)
            if replayed:
                first = tf.reshape(target[0], mask.shape)
                feat = self._world_model.rssm.features(start)
                loss_there, more = behavior.replayed_critic_loss(feat, first, replayed, mask)
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
        self,
        start: State,
        is_terminal: tf.Tensor,
        mask: tf.Tensor,
        seed: tf.Tensor | None,
        with_states: bool = False,
    ) -> tuple[Tensors, tf.Tensor, tf.Tensor, Tensors]:
        """Imagined sequence with rewards, its targets, its rows' mask and metrics.

        A rollout from a row whose mask is 0 has mask 0 throughout.
        """
        behavior, rssm = self._actor_critic, self._world_model.rssm
        rows = tf.reshape(mask, [1, -1]) * tf.ones([self._horizon + 1, 1])
        noise, members = None, None
        if seed is not None:
            noise = self._imagination_noise(rows.shape[1], seed)
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

    def _imagination_noise(self, number: int, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        seeds = tf.unstack(tf.random.experimental.stateless_split(seed, 2))
        event = self._actor_critic.noise_shape
        return (
            self._world_model.rssm.noise([self._horizon, number], seeds[0]),
            tf.random.stateless_uniform([self._horizon, number, *event], seeds[1]),
        )


def level_of(data: Tensors) -> tf.Tensor:
    """Level of each row of a batch; 0 where the batch does not tell, as with a single level."""
    if 'level' in data:
        return tf.cast(data['level'], tf.int32)
    return tf.zeros(data['is_terminal'].shape, tf.int32)


def _with_rate(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options of an optimizer, the text of a schedule as a function."""
    lr = options['lr']
    return {**options, 'lr': functools.partial(schedule, lr) if isinstance(lr, str) else lr}


def _free(
    parameters: dict[str, tf.Variable], freeze: str, prefix: str = ''
) -> dict[str, tf.Variable]:
    if not freeze:
        return parameters
    return {k: v for k, v in parameters.items() if not re.fullmatch(freeze, prefix + k)}
