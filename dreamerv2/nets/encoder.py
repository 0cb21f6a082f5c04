"""Encoder: images through convolutions, vectors through an MLP, concatenated to one embedding."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from dreamerv2.nets.distributions import symlog as squash
from dreamerv2.nets.kernels import PLAIN, Kernels
from dreamerv2.nets.layers import Conv, LayerNorm, activation, make_norm, normed
from dreamerv2.nets.mlp import MLP, named

Shapes = Mapping[str, Sequence[int]]


def select_keys(shapes: Shapes, pattern: str, rank: int) -> list[str]:
    """Observation keys that match the regular expression and have `rank` axes, in order."""
    return [k for k, shape in shapes.items() if re.match(pattern, k) and len(shape) == rank]


class Encoder(tf.Module):
    """Embeds observations `{key: [..., *shape]}` as `[..., size]`.

    Args:
        shapes: shape of every observation key, without batch axes.
        cnn_keys: regular expression for the image keys (three axes).
        mlp_keys: regular expression for the vector keys (one axis).
        cnn_depth: channels of the first convolution; doubled by each further one.
        cnn_kernels: kernel sizes of the stride-2 convolutions.
        mlp_layers: units of the layers for vectors.
        symlog: whether vectors are transformed by symlog (arXiv:2301.04104v2).
        kernels: how it is computed.
    """

    def __init__(
        self,
        shapes: Shapes,
        *,
        cnn_keys: str,
        mlp_keys: str,
        act: str,
        norm: str,
        cnn_depth: int,
        cnn_kernels: Sequence[int],
        mlp_layers: Sequence[int],
        symlog: bool = False,
        rng: np.random.Generator,
        dtype: tf.DType,
        kernels: Kernels = PLAIN,
    ):
        super().__init__()
        self.cnn_keys = select_keys(shapes, cnn_keys, 3)
        self.mlp_keys = select_keys(shapes, mlp_keys, 1)
        if not self.cnn_keys and not self.mlp_keys:
            raise ValueError(
                f'The encoder sees nothing: no observation of {dict(shapes)} matches '
                f'encoder.cnn_keys {cnn_keys!r} or encoder.mlp_keys {mlp_keys!r}.'
            )
        self._dtype, self._kernels, self._symlog = dtype, kernels, symlog
        self.act = activation(act)
        self.convs: list[Conv] = []
        self.norms: list[LayerNorm | None] = []
        self.size = 0
        kwargs: dict[str, Any] = {'rng': rng, 'dtype': dtype, 'kernels': kernels}
        if self.cnn_keys:
            height, width, channels = shapes[self.cnn_keys[0]]
            channels = sum(shapes[k][2] for k in self.cnn_keys)
            for index, size in enumerate(cnn_kernels):
                if min(height, width) < size:
                    raise ValueError(
                        f'Images of {list(shapes[self.cnn_keys[0]])} are too small for '
                        f'encoder.cnn_kernels {list(cnn_kernels)}.'
                    )
                units = 2**index * cnn_depth
                self.convs.append(Conv(channels, units, size, **kwargs))
                self.norms.append(make_norm(norm, units, kernels=kernels))
                height, width, channels = (height - size) // 2 + 1, (width - size) // 2 + 1, units
            self.size += height * width * channels
        self._mlp = None
        if self.mlp_keys:
            inputs = sum(shapes[k][0] for k in self.mlp_keys)
            self._mlp = MLP(inputs, mlp_layers, act=act, norm=norm, **kwargs)
            self.size += self._mlp.size

    def parameters(self) -> dict[str, tf.Variable]:
        found = {}
        for index, (conv, norm) in enumerate(zip(self.convs, self.norms, strict=True)):
            found.update(named(f'conv{index}', conv))
            found.update(named(f'conv{index}_norm', norm))
        return {**found, **(self._mlp.parameters() if self._mlp else {})}

    def __call__(self, data: Mapping[str, tf.Tensor]) -> tf.Tensor:
        outputs = []
        if self.cnn_keys:
            x = tf.concat([tf.cast(data[k], self._dtype) for k in self.cnn_keys], -1)
            lead = x.shape[:-3]
            x = tf.reshape(x, [-1, *x.shape[-3:]])
            x = self._kernels.encode(self, x)
            outputs.append(tf.reshape(x, [*lead, x.shape[1] * x.shape[2] * x.shape[3]]))
        if self._mlp:
            vectors = [data[k] for k in self.mlp_keys]
            if self._symlog:
                vectors = [squash(tf.cast(x, tf.float32)) for x in vectors]
            x = tf.concat([tf.cast(x, self._dtype) for x in vectors], -1)
            outputs.append(self._mlp(x))
        return outputs[0] if len(outputs) == 1 else tf.concat(outputs, -1)

    def convolve(self, x: tf.Tensor) -> tf.Tensor:
        """Images `[N, height, width, channels]` through all convolutions."""
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = normed(conv, norm, self.act, x)
        return x
