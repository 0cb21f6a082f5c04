"""The agent's mathematics written the direct way, to compare with.

What an implementation does that takes the model's formulas as they stand, as the original
DreamerV2 does: strided and transposed convolutions by TensorFlow's own operations, a batch as one,
time loops unrolled in Python, in each step all of the step's layers, all gradients as TensorFlow
has them, and TensorFlow's own choice of threads. It gives the same numbers (a test compares), at
the direct way's price. Layers, losses and optimizers are otherwise this package's own.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import tensorflow as tf

from dreamerv2.agent import world_model
from dreamerv2.nets import decoder, encoder, layers
from dreamerv2.nets.convolutions import Conv
from dreamerv2.nets.gradients import Activation, Product, Weights
from dreamerv2.nets.rssm import RSSM, State
from dreamerv2.nets.transposed_convolutions import ConvTranspose


@contextlib.contextmanager
def direct_implementation() -> Iterator[None]:
    """Agents traced meanwhile compute the direct way."""
    with (
        mock.patch.object(encoder, 'can_pair', _never),
        mock.patch.object(decoder, 'can_pair_transposed', _never),
        mock.patch.object(encoder, 'in_branches', _at_once),
        mock.patch.object(decoder, 'in_branches', _at_once),
        mock.patch.object(world_model, 'in_branches', _at_once),
        mock.patch.object(layers, 'affine', _affine),
        mock.patch.object(Conv, '__call__', _convolve),
        mock.patch.object(ConvTranspose, '__call__', _convolve_transposed),
        mock.patch.object(RSSM, 'observe', _observe),
        mock.patch.object(world_model, 'scan', _unrolled),
    ):
        yield


def use_default_threads() -> None:
    """Leaves the number of threads to TensorFlow; to be called before anything is computed."""
    os.environ.update(TF_NUM_INTRAOP_THREADS='0', TF_NUM_INTEROP_THREADS='0')


def _never(*unused: object) -> bool:
    return False


def _at_once(function: Callable[[Any], Any], inputs: Any, *_: Any, **__: Any) -> Any:
    return function(inputs)


def _affine(
    product: Product, _: object, x: tf.Tensor, weights: Weights, act: Activation = tf.identity
) -> tf.Tensor:
    kernel, bias = weights
    return act(tf.nn.bias_add(product(x, kernel), bias))


def _convolve(layer: Conv, x: tf.Tensor, act: Activation = tf.identity) -> tf.Tensor:
    kernel, bias = layer.weights()
    return act(tf.nn.bias_add(tf.nn.conv2d(x, kernel, 2, 'VALID'), bias))


def _convolve_transposed(
    layer: ConvTranspose, x: tf.Tensor, act: Activation = tf.identity
) -> tf.Tensor:
    kernel, bias = layer.weights()
    sides = [2 * (side - 1) + layer.size for side in x.shape[1:3]]
    shape = [tf.shape(x)[0], *sides, kernel.shape[2]]
    return act(tf.nn.bias_add(tf.nn.conv2d_transpose(x, kernel, shape, 2, 'VALID'), bias))


def _unrolled(step: Callable[..., Any], carry: Any, inputs: Any) -> tuple[Any, Any]:
    outputs = []
    columns = [tf.unstack(x) for x in tf.nest.flatten(inputs)]
    for now in zip(*columns, strict=True):
        carry, output = step(carry, tf.nest.pack_sequence_as(inputs, list(now)))
        outputs.append(output)
    return carry, tf.nest.map_structure(lambda *steps: tf.stack(steps), *outputs)


def _observe(
    rssm: RSSM,
    embed: tf.Tensor,
    action: tf.Tensor,
    is_first: tf.Tensor,
    state: State,
    noise: tf.Tensor | None,
    prior_noise: tf.Tensor | None = None,
    member: tf.Tensor | int = 0,
) -> tuple[State, State]:
    posteriors, priors = [], []
    for t in range(embed.shape[1]):
        now = [x[:, t] for x in (embed, action, is_first)]
        state = rssm.observe_step(*now, state, None if noise is None else noise[:, t])
        posteriors.append(state)
        drawn = None if prior_noise is None else prior_noise[:, t]
        priors.append(rssm.prior(state['deter'], drawn, member))
    return tuple(
        tf.nest.map_structure(lambda *steps: tf.stack(steps, 1), *states)
        for states in (posteriors, priors)
    )
