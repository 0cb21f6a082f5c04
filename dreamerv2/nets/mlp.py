"""Multi-layer perceptrons and the heads that turn features into distributions."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from dreamerv2.nets import distributions
from dreamerv2.nets.kernels import PLAIN, Kernels
from dreamerv2.nets.layers import Dense, activation, make_norm, normed


class MLP(tf.Module):
    """Layers `dense{i}` with normalisation and activation, `[..., inputs]` to `[..., units]`."""

    def __init__(
        self,
        inputs: int,
        units: Sequence[int],
        *,
        act: str,
        norm: str,
        rng: np.random.Generator,
        dtype: tf.DType,
        kernels: Kernels = PLAIN,
    ):
        super().__init__()
        sizes = [inputs, *units]
        self.size = sizes[-1]
        self._dtype = dtype
        self._act = activation(act)
        kwargs: dict[str, Any] = {'rng': rng, 'dtype': dtype, 'kernels': kernels}
        self._dense = [Dense(a, b, **kwargs) for a, b in itertools.pairwise(sizes)]
        self._norms = [make_norm(norm, size, kernels=kernels) for size in units]

    def parameters(self) -> dict[str, tf.Variable]:
        found = {}
        for index, (dense, norm) in enumerate(zip(self._dense, self._norms, strict=True)):
            found.update(named(f'dense{index}', dense))
            found.update(named(f'dense{index}_norm', norm))
        return found

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        lead = x.shape[:-1]
        # Always two axes, so that product, bias and activation fuse.
        x = tf.reshape(tf.cast(x, self._dtype), [-1, x.shape[-1]])
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
    """

    def __init__(
        self,
        inputs: int,
        shape: Sequence[int],
        *,
        rng: np.random.Generator,
        dtype: tf.DType,
        dist: str = 'mse',
        min_std: float = 0.1,
        init_std: float = 0.0,
        unimix: float = 0.0,
        kernels: Kernels = PLAIN,
    ):
        super().__init__()
        self._shape = list(shape)
        self._dist = dist
        self._min_std, self._init_std, self._unimix = min_std, init_std, unimix
        size = math.prod(shape)
        if dist == 'twohot':
            if shape:
                raise ValueError(f'Distribution {dist!r} is for scalars, not for {list(shape)}.')
            self._shape = [distributions.TwoHot.BINS]
            size = distributions.TwoHot.BINS
        kwargs: dict[str, Any] = {'rng': rng, 'dtype': dtype, 'kernels': kernels}
        self._out = Dense(inputs, size, **kwargs)
        if dist == 'twohot':
            self._out.kernel.assign(tf.zeros_like(self._out.kernel))
        with_std = dist in ('normal', 'trunc_normal', 'tanh_normal')
        self._std = Dense(inputs, size, **kwargs) if with_std else None

    def parameters(self, out: str = 'out', std: str = 'std') -> dict[str, tf.Variable]:
        return {**named(out, self._out), **named(std, self._std)}

    def _project(self, layer: Dense, x: tf.Tensor) -> tf.Tensor:
        out = tf.cast(layer(x), tf.float32)
        return tf.reshape(out, tf.concat([tf.shape(x)[:-1], self._shape], 0))

    def __call__(self, x: tf.Tensor):
        out = tf.ensure_shape(self._project(self._out, x), x.shape[:-1] + self._shape)
        rank = len(self._shape)
        if self._dist == 'mse':
            return distributions.UnitNormal(out, rank)
        if self._dist == 'symlog_mse':
            return distributions.SymlogNormal(out, rank)
        if self._dist == 'twohot':
            return distributions.TwoHot(out)
        if self._dist == 'binary':
            return distributions.Bernoulli(out, rank)
        if self._dist == 'onehot':
            return distributions.OneHot(
                distributions.mix_uniform(out, self._unimix) if self._unimix else out
            )
        if self._std is None:
            raise ValueError(f'Unknown distribution {self._dist!r}.')
        std = tf.ensure_shape(self._project(self._std, x), out.shape)
        if self._dist == 'normal':
            return distributions.Normal(out, std, rank)
        std = std + self._init_std
        if self._dist == 'trunc_normal':
            scale = 2 * tf.sigmoid(std / 2) + self._min_std
            return distributions.TruncatedNormal(tf.tanh(out), scale)
        scale = tf.nn.softplus(std) + self._min_std
        return distributions.TanhNormal(5 * tf.tanh(out / 5), scale)


class Head(tf.Module):
    """MLP followed by a distribution layer: reward, discount, critic and actor."""

    def __init__(
        self,
        inputs: int,
        shape: Sequence[int],
        *,
        layers: int,
        units: int,
        act: str,
        norm: str,
        rng: np.random.Generator,
        dtype: tf.DType,
        kernels: Kernels = PLAIN,
        **out,
    ):
        super().__init__()
        kwargs: dict[str, Any] = {'rng': rng, 'dtype': dtype, 'kernels': kernels}
        self._mlp = MLP(inputs, [units] * layers, act=act, norm=norm, **kwargs)
        self._out = DistributionLayer(self._mlp.size, shape, **kwargs, **out)

    def parameters(self) -> dict[str, tf.Variable]:
        return {**self._mlp.parameters(), **self._out.parameters()}

    def __call__(self, features: tf.Tensor):
        return self._out(self._mlp(features))


def named(name: str, layer: tf.Module | None) -> dict[str, tf.Variable]:
    """Parameters of one layer under `name/`: kernel and bias, or scale and offset."""
    if layer is None:
        return {}
    keys = ('kernel', 'bias') if hasattr(layer, 'kernel') else ('scale', 'offset')
    return {f'{name}/{key}': getattr(layer, key) for key in keys}
