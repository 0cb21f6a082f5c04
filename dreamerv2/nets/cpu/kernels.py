"""How a CPU computes the networks: rearranged operations and hand-written gradients."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import tensorflow as tf

from dreamerv2.nets.coders import Decoder, Encoder
from dreamerv2.nets.cpu import convolutions, gradients
from dreamerv2.nets.cpu.filter import filter_states
from dreamerv2.nets.cpu.shards import in_shards
from dreamerv2.nets.layers import Dense, Kernels, Weights, normed
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

    linear: Callable = staticmethod(gradients.linear)
    layer_norm: Callable = staticmethod(gradients.layer_norm)
    conv: Callable = staticmethod(convolutions.conv)
    conv_transpose: Callable = staticmethod(convolutions.conv_transpose)

    # Networks

    def encode(self, encoder: Encoder, images: tf.Tensor) -> tf.Tensor:
        def convolve(x):
            return convolve_in_pairs(encoder, x)

        return in_shards(convolve, images, self.branches, least=self.least_images)

    def decode(self, decoder: Decoder, features: tf.Tensor) -> tf.Tensor:
        def deconvolve(x):
            return deconvolve_in_pairs(decoder, x)

        return in_shards(deconvolve, features, self.branches, least=self.least_images)

    def filter(self, rssm: RSSM, *observed: Any) -> State:
        return filter_states(rssm, *observed)

    def roll_out(self, step: Step, carry, steps, rows, modules=(), sharded=False) -> Structure:
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
    act, convs, norms = encoder.act, encoder.convs, encoder.norms
    done = 0
    if len(convs) > 1 and norms[0] is None and convolutions.can_pair(convs[0], convs[1], x):
        norm, done = norms[1], 2
        x = convolutions.conv_pair(convs[0], convs[1], x, act, tf.identity if norm else act)
        x = act(norm(x)) if norm else x
    for conv, norm in zip(convs[done:], norms[done:], strict=True):
        x = normed(conv, norm, act, x)
    return x


def deconvolve_in_pairs(decoder: Decoder, features: tf.Tensor) -> tf.Tensor:
    """As `Decoder.deconvolve`, with the last two convolutions merged where possible."""
    x = decoder.start(features)
    *hidden, last = decoder.convs
    for layer, norm in zip(hidden[:-1], decoder.norms, strict=False):
        x = normed(layer, norm, decoder.act, x)
    norm = decoder.norms[-2] if hidden else None
    if hidden and norm is None and convolutions.can_pair_transposed(hidden[-1], last, x):
        return convolutions.conv_transpose_pair(hidden[-1], last, x, decoder.act)
    return last(normed(hidden[-1], norm, decoder.act, x) if hidden else x)
