"""What collects while the agent explores: behaviors by name, and noise on top of their actions.

A behavior is a class of this module, found by its name (`expl_behavior: random` is `Random`; a new
one needs its name in `dreamerv2.config.schema`, too), or of an installed package
(`dreamerv2.plugins`). It has the interface of `Greedy`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from dreamerv2 import plugins
from dreamerv2.agent.actor_critic import ActorCritic
from dreamerv2.agent.world_model import WorldModel
from dreamerv2.nets.distributions import OneHot, UniformBox, standard_normal

Tensors = dict[str, tf.Tensor]


class Greedy(tf.Module):
    """The agent's own actor explores.

    Args:
        world_model, behavior: of the agent.
        config: the configuration.
        made: `rng`, `dtype` and `kernels` for networks of its own.

    Attributes:
        actor: from features `[..., features]` to a distribution over actions.
    """

    def __init__(
        self, world_model: WorldModel, behavior: ActorCritic, config: Mapping[str, Any], **made: Any
    ):
        super().__init__()
        self.actor: Any = behavior.actor

    def parameters(self) -> dict[str, tf.Variable]:
        """Weights of its own by name."""
        return {}

    def variables(self) -> dict[str, tf.Variable]:
        """What else its learning changes, such as optimizer states, by name."""
        return {}

    def update(self, start: Tensors, mask: tf.Tensor, level: tf.Tensor) -> Tensors:
        """Learns after each update of actor and critic; returns metrics.

        `start` are posterior states `[batch, length, ...]`; `mask` says which rows count, and
        `level` which level they are of, `[batch, length]`.
        """
        return {}


class Random(Greedy):
    """Every action is as likely as any other."""

    def __init__(self, world_model: WorldModel, behavior: ActorCritic, *args: Any, **made: Any):
        super().__init__(world_model, behavior, *args, **made)
        self.actor = _Uniform(behavior.action_size, not behavior.noise_shape)


class _Uniform(tf.Module):
    def __init__(self, actions: int, discrete: bool):
        super().__init__()
        self._actions, self._dist = actions, OneHot if discrete else UniformBox

    def __call__(self, features: tf.Tensor) -> Any:
        return self._dist(tf.zeros([*features.shape[:-1], self._actions]))

    def parameters(self) -> dict[str, tf.Variable]:
        return {}


def behavior_called(name: str) -> type[Greedy]:
    """The behavior of a name as in `expl_behavior`: of this module, or of an installed package.

    Raises ValueError where there is none.
    """
    found = {
        key.lower(): value
        for key, value in globals().items()
        if isinstance(value, type) and issubclass(value, Greedy)
    }
    added = plugins.names('behaviors')
    if name.lower() not in found and name not in added:
        there = ', '.join([*found, *added])
        raise ValueError(f'expl_behavior is {name}, but the behaviors are {there}')
    behavior = found.get(name.lower()) or plugins.load('behaviors', name)
    if not (isinstance(behavior, type) and issubclass(behavior, Greedy)):
        raise ValueError(
            f'expl_behavior is {name}, {behavior!r}: expected a class derived from '
            'dreamerv2.agent.exploration.Greedy'
        )
    return behavior


def add_noise(
    action: tf.Tensor, amount: float, discrete: bool, uniform: tf.Tensor, pick: tf.Tensor
) -> tf.Tensor:
    """Alpha-greedy noise for one-hot actions, clipped Gaussian noise for others.

    Args:
        action: `[batch, actions]`, one-hot or in [-1, 1].
        amount: probability of a uniform action, or the noise's standard deviation.
        discrete: whether actions are one-hot.
        uniform, pick: numbers in [0, 1), `[batch, actions]` and `[batch]`.
    """
    if not discrete:
        return tf.clip_by_value(action + amount * standard_normal(uniform), -1.0, 1.0)
    other = tf.one_hot(tf.argmax(uniform, -1), action.shape[-1], dtype=action.dtype)
    return tf.where((pick < amount)[:, None], other, action)
