"""Multi-layer perceptrons and the heads that turn features into distributions."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from dreamerv2.nets import distributions
from dreamerv2.nets.layers import Dense, activation, make_norm, named, normed, stacked


class MLP(tf.Module):
    """Layers `dense{i}` with normalisation and activation, `[..., inputs]` to `[..., units]`."""

    def __init__(self, inputs: int, units: Sequence[int], *, act: str, norm: str, **made: Any):
        super().__init__()
        sizes = [inputs, *units]
        self.size, self._act = sizes[-1], activation(act)
        self._dense = [Dense(a, b, **made) for a, b in itertools.pairwise(sizes)]
        self._norms = [make_norm(norm, size, **made) for size in units]

    def parameters(self) -> dict[str, tf.Variable]:
        return stacked('dense', self._dense, self._norms)

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        lead = x.shape[:-1]
        x = tf.reshape(x, [-1, x.shape[-1]])  # Two axes, so that product, bias and `act` fuse.
        for dense, norm in zip(self._dense, self._norms, strict=True):
            x = normed(dense, norm, self._act, x)
        return tf.reshape(x, [*lead, x.shape[-1]])


class DistributionLayer(tf.Module):
    """Last layer of a head: `[..., inputs]` to a distribution over events of `shape`.

    Args:
        inputs: size of the features.
        shape: shape of an event; empty for a scalar.
        dist: `mse`, `symlog_mse`, `twohot` (scalars), `normal`, `binary`, `onehot`,
            `trunc_normal` or `tanh_normal`. The layer starts from zeros with `twohot`, so that the
            first predictions are 0.
        min_std: smallest standard deviation of the continuous action distributions.
        unimix: share of the uniform distribution in `onehot` (`distributions.mix_uniform`).
        made: for the layers.
    """

    def __init__(
        self, inputs: int, shape: Sequence[int], *, dist='mse', min_std=0.1, unimix=0.0, **made: Any
    ):
        super().__init__()
        self._dist, self._min_std, self._unimix = dist, min_std, unimix
        self._shape = [distributions.TwoHot.BINS] if dist == 'twohot' else list(shape)
        if dist == 'twohot' and shape:
            raise ValueError(f'Distribution {dist!r} is for scalars, not for {list(shape)}.')
        size = math.prod(self._shape)
        self._out = Dense(inputs, size, **made)
        if dist == 'twohot':
            self._out.kernel.assign(tf.zeros_like(self._out.kernel))
        with_std = dist in ('normal', 'trunc_normal', 'tanh_normal')
        self._std = Dense(inputs, size, **made) if with_std else None

    def parameters(self, out: str = 'out') -> dict[str, tf.Variable]:
        return {**named(out, self._out), **named('std', self._std)}

    def __call__(self, x: tf.Tensor):
        shape, rank = [*x.shape[:-1], *self._shape], len(self._shape)
        out = tf.reshape(tf.cast(self._out(x), tf.float32), shape)
        if self._dist == 'mse':
            return distributions.UnitNormal(out, rank)
        if self._dist == 'symlog_mse':
            return distributions.SymlogNormal(out, rank)
        if self._dist == 'twohot':
            return distributions.TwoHot(out)
        if self._dist == 'binary':
            return distributions.Bernoulli(out, rank)
        if self._dist == 'onehot':
            return distributions.OneHot(distributions.mix_uniform(out, self._unimix))
        if self._std is None:
            raise ValueError(f'Unknown distribution {self._dist!r}.')
        std = tf.reshape(tf.cast(self._std(x), tf.float32), shape)
        if self._dist == 'normal':
            return distributions.Normal(out, std, rank)
        if self._dist == 'trunc_normal':
            scale = 2 * tf.sigmoid(std / 2) + self._min_std
            return distributions.TruncatedNormal(tf.tanh(out), scale)
        return distributions.TanhNormal(5 * tf.tanh(out / 5), tf.nn.softplus(std) + self._min_std)


class Head(tf.Module):
    """MLP and a `DistributionLayer`, whose arguments are `**out`: reward, discount, critic, actor.

    With `layers` of `units`, the activation `act` and the normalisation `norm`.
    """

    def __init__(
        self, inputs: int, shape: Sequence[int], *, layers: int, units: int, act, norm, **out: Any
    ):
        super().__init__()
        made = {key: out[key] for key in ('rng', 'dtype', 'kernels') if key in out}
        self._mlp = MLP(inputs, [units] * layers, act=act, norm=norm, **made)
        self._out = DistributionLayer(self._mlp.size, shape, **out)

    def parameters(self) -> dict[str, tf.Variable]:
        return {**self._mlp.parameters(), **self._out.parameters()}

    def __call__(self, features: tf.Tensor):
        return self._out(self._mlp(features))
