"""How a CPU computes the networks: rearranged operations and hand-written gradients."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator, Sequence

import tensorflow as tf

from dreamerv2.nets.coders import Decoder, Encoder
from dreamerv2.nets.cpu.convolutions import can_pair, conv, conv_pair
from dreamerv2.nets.cpu.filter import filter_states
from dreamerv2.nets.cpu.gradients import layer_norm, linear
from dreamerv2.nets.cpu.shards import in_shards
from dreamerv2.nets.cpu.transposed_convolutions import (
    can_pair_transposed,
    conv_transpose,
    conv_transpose_pair,
)
from dreamerv2.nets.kernels import Activation, Kernels, Weights
from dreamerv2.nets.layers import Dense, normed
from dreamerv2.nets.rssm import RSSM, State
from dreamerv2.nets.scan import Step, Structure, scan

LEAST_IMAGES = 32  # Of a shard; fewer are not worth the overhead.
LEAST_ROLLOUTS = 64


class CpuKernels(Kernels):
    """Kernels for CPUs; the methods are those of `Kernels`.

    Args:
        branches: number of shards into which large batches are split, computed in parallel.
        caller_acts: compute the policy in the caller's thread
            (`dreamerv2/agent/cpu/acting_session.py`).
        least_images, least_rollouts: smallest number of rows in a shard.
    """

    def __init__(
        self,
        *,
        branches: int = 1,
        caller_acts: bool = True,
        least_images: int = LEAST_IMAGES,
        least_rollouts: int = LEAST_ROLLOUTS,
    ):
        self.branches, self.caller_acts = branches, caller_acts
        self.least_images, self.least_rollouts = least_images, least_rollouts
        self._held: dict = {}  # Weights by their kernel, within `_holding`.

    # Layers

    def weights(self, kernel: tf.Variable, bias: tf.Variable, dtype: tf.DType) -> Weights:
        held = self._held.get(kernel.ref())
        return super().weights(kernel, bias, dtype) if held is None else held

    def linear(self, x: tf.Tensor, weights: Weights, act: Activation = tf.identity) -> tf.Tensor:
        return linear(x, weights, act)

    def conv(self, x: tf.Tensor, weights: Weights, act: Activation = tf.identity) -> tf.Tensor:
        return conv(x, weights, act)

    def conv_transpose(
        self, x: tf.Tensor, weights: Weights, act: Activation = tf.identity
    ) -> tf.Tensor:
        return conv_transpose(x, weights, act)

    def layer_norm(self, x: tf.Tensor, weights: Weights, epsilon: float = 1e-3) -> tf.Tensor:
        return layer_norm(x, weights, epsilon)

    # Networks

    def encode(self, encoder: Encoder, images: tf.Tensor) -> tf.Tensor:
        convolve = functools.partial(convolve_in_pairs, encoder)
        return in_shards(convolve, images, self.branches, least=self.least_images)

    def decode(self, decoder: Decoder, features: tf.Tensor) -> tf.Tensor:
        deconvolve = functools.partial(deconvolve_in_pairs, decoder)
        return in_shards(deconvolve, features, self.branches, least=self.least_images)

    def filter(
        self,
        rssm: RSSM,
        embed: tf.Tensor,
        action: tf.Tensor,
        is_first: tf.Tensor,
        state: State,
        noise: tf.Tensor | None,
    ) -> State:
        return filter_states(rssm, embed, action, is_first, state, noise)

    def roll_out(
        self,
        step: Step,
        carry: Structure,
        steps: Structure,
        rows: Structure,
        modules: Sequence[tf.Module] = (),
        sharded: bool = False,
    ) -> Structure:
        def shard(inputs: Structure) -> Structure:
            carry, rows = inputs
            carry = tf.nest.map_structure(lambda x: x[0], carry)
            return scan(step, carry, {**steps, **rows})[1]

        # With a time axis in front, as rows and outputs have.
        carry = tf.nest.map_structure(lambda x: x[None], carry)
        number = self.branches if sharded else 1
        with self._holding(modules):
            return in_shards(shard, (carry, rows), number, least=self.least_rollouts, axis=1)

    @contextlib.contextmanager
    def _holding(self, modules: Sequence[tf.Module]) -> Iterator[None]:
        """Inside, the modules' dense layers use weights that were read and cast on entering.

        For use around a loop: what is read and cast in its body is so at every step.
        """
        layers = [m for module in modules for m in (module, *module.submodules) if type(m) is Dense]
        self._held = {layer.kernel.ref(): layer.weights() for layer in layers}
        try:
            yield
        finally:
            self._held = {}


def convolve_in_pairs(encoder: Encoder, x: tf.Tensor) -> tf.Tensor:
    """As `Encoder.convolve`, with the first two convolutions merged where possible."""
    layers = list(zip(encoder.convs, encoder.norms, strict=True))
    act = encoder.act
    if len(layers) > 1 and layers[0][1] is None and can_pair(layers[0][0], layers[1][0], x):
        (first, _), (second, norm), *layers = layers
        x = conv_pair(first, second, x, act, tf.identity if norm else act)
        x = act(norm(x)) if norm else x
    for layer, norm in layers:
        x = normed(layer, norm, act, x)
    return x


def deconvolve_in_pairs(decoder: Decoder, features: tf.Tensor) -> tf.Tensor:
    """As `Decoder.deconvolve`, with the last two convolutions merged where possible."""
    x = decoder.start(features)
    *hidden, last = decoder.convs
    for layer, norm in zip(hidden[:-1], decoder.norms, strict=False):
        x = normed(layer, norm, decoder.act, x)
    norm = decoder.norms[-2] if hidden else None
    if hidden and norm is None and can_pair_transposed(hidden[-1], last, x):
        return conv_transpose_pair(hidden[-1], last, x, decoder.act)
    return last(normed(hidden[-1], norm, decoder.act, x) if hidden else x)
