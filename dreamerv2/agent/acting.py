"""From an observation to an action: the encoder, one step of the filter, the policy."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from dreamerv2.agent.calls import compiled, split_seed
from dreamerv2.agent.exploration import add_noise
from dreamerv2.agent.world_model import WorldModel
from dreamerv2.nets.layers import Layer
from dreamerv2.nets.mlp import Head
from dreamerv2.nets.rssm import State

MODES = ('train', 'explore', 'eval', 'eval_sample')

Tensors = dict[str, tf.Tensor]
ActState = tuple[State, tf.Tensor]  # Latent state and the action that follows from it.
Act = Callable[[Tensors, ActState, tf.Tensor], tuple[tf.Tensor, ActState]]


class Acting:
    """Makes the functions that act.

    Args:
        world_model, actor: what acts.
        explorer: acts in the mode `explore`; may be the actor itself.
        discrete: whether actions are one-hot vectors.
        config: the configuration, of which `expl_noise`, `eval_noise` and `eval_state_mean` count.
        own_copy: act with a copy of the weights, which `sync` renews. It holds kernels and biases
            in the computation's type: with few environments, casting them takes as long as the
            rest of a call.

    Attributes:
        modules: those that act: `encoder`, `rssm`, `actor`, `explorer`.
    """

    def __init__(
        self,
        world_model: WorldModel,
        actor: Head,
        explorer: Any,
        discrete: bool,
        config: Mapping[str, Any],
        *,
        own_copy: bool,
    ):
        self._world_model, self._discrete = world_model, discrete
        self._expl_noise, self._eval_noise = config['expl_noise'], config['eval_noise']
        self._eval_state_mean = config['eval_state_mean']
        learned: dict[str, Any] = {'encoder': world_model.encoder, 'rssm': world_model.rssm}
        learned.update(actor=actor, explorer=explorer)
        self.modules = learned
        self._copied: list[tuple] = []
        if own_copy:
            copies = {id(module): copy.deepcopy(module) for module in learned.values()}
            for module in copies.values():
                for layer in module.submodules:
                    if isinstance(layer, Layer):
                        layer.kernel, layer.bias = map(tf.Variable, layer.weights())
            self.modules = {name: copies[id(module)] for name, module in learned.items()}
            self._copied = [
                (module.parameters(), self.modules[name].parameters())
                for name, module in learned.items()
            ]

    def initial(self, envs: int, action_size: int) -> ActState:
        """The state before the first step of `envs` environments."""
        return self._world_model.rssm.initial(envs), tf.zeros([envs, action_size])

    def sync(self):
        """Takes over the newest weights; does nothing without a copy."""
        for values, variables in self._copied:
            for name, variable in variables.items():
                variable.assign(tf.cast(values[name], variable.dtype))

    def function(self, mode: str) -> Act:
        """`(observations, state, seed) -> (actions, state)` in one of `MODES`.

        Observations have the leading axis `envs`, actions are `[envs, actions]`, and the seed is
        int32 [2].
        """
        collects = mode in ('train', 'explore')
        amount = self._expl_noise if collects else self._eval_noise
        draw_state = collects or not self._eval_state_mean

        def act(obs: Mapping[str, tf.Tensor], state: ActState, seed: tf.Tensor):
            latent, action = state
            envs, size = action.shape
            seeds = split_seed(seed, 4)
            rssm = self.modules['rssm']
            embed = self.modules['encoder'](self._world_model.preprocess(obs))
            noise = rssm.noise([envs], seeds[0]) if draw_state else None
            latent = rssm.observe_step(embed, action, obs['is_first'], latent, noise)
            actor = self.modules['explorer' if mode == 'explore' else 'actor']
            policy = actor(rssm.features(latent))
            if mode == 'eval':
                action = policy.mode()
            else:
                shape = [envs] if self._discrete else [envs, size]
                action = policy.sample(tf.random.stateless_uniform(shape, seeds[1]))
            if amount:
                uniform = tf.random.stateless_uniform([envs, size], seeds[2])
                pick = tf.random.stateless_uniform([envs], seeds[3])
                action = add_noise(action, amount, self._discrete, uniform, pick)
            return action, (latent, action)

        return act


class ActingFunctions:
    """Acts by functions, one for each mode, compiled with `jit`; args as of `ActingSession`."""

    def __init__(self, acting: Acting, traced: Callable[[Callable], Callable], jit: bool):
        self._functions = {mode: compiled(traced(acting.function(mode)), jit) for mode in MODES}
        self.sync = compiled(acting.sync, jit)

    def act(
        self, mode: str, obs: Mapping[str, np.ndarray], state: ActState, seed: np.ndarray
    ) -> tuple[np.ndarray, ActState]:
        """Actions as an array, and the state; args as those of `Acting.function(mode)`."""
        seen = {key: tf.convert_to_tensor(value) for key, value in obs.items()}
        action, state = self._functions[mode](seen, state, tf.constant(seed))
        return action.numpy(), state
