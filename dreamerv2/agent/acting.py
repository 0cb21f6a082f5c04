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
from dreamerv2.nets.layers import Conv, Dense
from dreamerv2.nets.mlp import Head
from dreamerv2.nets.rssm import State

MODES = ('train', 'explore', 'eval', 'eval_sample')

Tensors = dict[str, tf.Tensor]
ActState = tuple[State, tf.Tensor]  # Latent state and the action that follows from it.
Act = Callable[[Tensors, ActState, tf.Tensor], tuple[tf.Tensor, ActState]]


def to_arrays(state: ActState | None) -> dict[str, np.ndarray]:
    """A state as arrays `[envs, ...]` by name; none for None."""
    if state is None:
        return {}
    latent, action = state
    return {key: np.array(value) for key, value in {'action': action, **latent}.items()}


def from_arrays(arrays: Mapping[str, np.ndarray]) -> ActState | None:
    """The state of which `to_arrays` made these arrays."""
    if not arrays:
        return None
    tensors = {key: tf.convert_to_tensor(value) for key, value in arrays.items()}
    action = tensors.pop('action')
    return tensors, action


def cast_copy(module: tf.Module) -> tf.Module:
    """A copy whose layers hold kernel and bias in the type that they compute in."""
    module = copy.deepcopy(module)
    for layer in (module, *module.submodules):
        if isinstance(layer, Dense | Conv):
            layer.kernel, layer.bias = map(tf.Variable, layer.weights())
    return module


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
        self._world_model = world_model
        self._discrete = discrete
        noise = config['eval_noise']
        self._noises = {'eval': noise, 'eval_sample': noise}
        self._noises.update(dict.fromkeys(('train', 'explore'), config['expl_noise']))
        self._eval_state_mean = config['eval_state_mean']
        learned: dict[str, Any] = {
            'encoder': world_model.encoder,
            'rssm': world_model.rssm,
            'actor': actor,
            'explorer': explorer,
        }
        copies = {id(m): cast_copy(m) if own_copy else m for m in learned.values()}
        self.modules = {name: copies[id(module)] for name, module in learned.items()}
        self._copied = []
        if own_copy:
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
        amount = self._noises[mode]
        draw = mode != 'eval'
        draw_state = mode in ('train', 'explore') or not self._eval_state_mean

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
            if draw:
                shape = [envs] if self._discrete else [envs, size]
                action = policy.sample(tf.random.stateless_uniform(shape, seeds[1]))
            else:
                action = policy.mode()
            if amount:
                uniform = tf.random.stateless_uniform([envs, size], seeds[2])
                pick = tf.random.stateless_uniform([envs], seeds[3])
                action = add_noise(action, amount, self._discrete, uniform, pick)
            return action, (latent, action)

        return act


class ActingFunctions:
    """Acts by compiled functions, one for each mode.

    Args:
        acting: what acts.
        traced: called with each function before it is compiled; returns it.
        jit: whether they are compiled.
    """

    def __init__(self, acting: Acting, traced: Callable[[Callable], Callable], jit: bool):
        self._functions = {mode: compiled(traced(acting.function(mode)), jit) for mode in MODES}
        self._sync = compiled(acting.sync, jit)

    def sync(self):
        """Takes over the newest weights; does nothing without a copy."""
        self._sync()

    def act(
        self, mode: str, obs: Mapping[str, np.ndarray], state: ActState, seed: np.ndarray
    ) -> tuple[np.ndarray, ActState]:
        """Actions as an array, and the state; args as those of `Acting.function(mode)`."""
        seen = {key: tf.convert_to_tensor(value) for key, value in obs.items()}
        action, state = self._functions[mode](seen, state, tf.constant(seed))
        return action.numpy(), state
