"""Encoder: images through convolutions, vectors through an MLP, joined to one embedding."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from dreamerv2.nets.branches import in_branches
from dreamerv2.nets.convolutions import Conv, can_pair, conv_pair
from dreamerv2.nets.distributions import symlog as squash
from dreamerv2.nets.layers import activation, make_norm, normed
from dreamerv2.nets.mlp import MLP, named

Shapes = Mapping[str, Sequence[int]]

LEAST_IMAGES = 32  # Of a branch; with fewer it is not worth its operations.


def select_keys(shapes: Shapes, pattern: str, rank: int) -> list[str]:
    """Observation keys that match the regular expression and have `rank` axes, in their order."""
    return [k for k, shape in shapes.items() if re.match(pattern, k) and len(shape) == rank]


class Encoder(tf.Module):
    """Embeds observations `{key: [..., *shape]}` as `[..., size]`.

    Args:
        shapes: shape of every observation key, without batch axes.
        cnn_keys: regular expression for the image keys (three axes).
        mlp_keys: regular expression for the vector keys (one axis).
        cnn_depth: channels of the first convolution; they double with each.
        cnn_kernels: kernel sizes of the stride-2 convolutions.
        mlp_layers: units of the layers for vectors.
        symlog: whether vectors enter as their symlog (arXiv:2301.04104v2).
        branches: into how many stretches a batch of images is split (`in_branches`).
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
        branches: int = 1,
    ):
        super().__init__()
        self.cnn_keys = select_keys(shapes, cnn_keys, 3)
        self.mlp_keys = select_keys(shapes, mlp_keys, 1)
        if not self.cnn_keys and not self.mlp_keys:
            raise ValueError(
                f'The encoder sees nothing: no observation of {dict(shapes)} matches '
                f'encoder.cnn_keys {cnn_keys!r} or encoder.mlp_keys {mlp_keys!r}.'
            )
        self._dtype, self._branches, self._symlog = dtype, branches, symlog
        self._act = activation(act)
        self._convs, self._norms = [], []
        self.size = 0
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
                self._convs.append(Conv(channels, units, size, rng=rng, dtype=dtype))
                self._norms.append(make_norm(norm, units))
                height, width, channels = (height - size) // 2 + 1, (width - size) // 2 + 1, units
            self.size += height * width * channels
        self._mlp = None
        if self.mlp_keys:
            inputs = sum(shapes[k][0] for k in self.mlp_keys)
            self._mlp = MLP(inputs, mlp_layers, act=act, norm=norm, rng=rng, dtype=dtype)
            self.size += self._mlp.size

    def parameters(self) -> dict[str, tf.Variable]:
        found = {}
        for index, (conv, norm) in enumerate(zip(self._convs, self._norms, strict=True)):
            found.update(named(f'conv{index}', conv))
            found.update(named(f'conv{index}_norm', norm))
        return {**found, **(self._mlp.parameters() if self._mlp else {})}

    def __call__(self, data: Mapping[str, tf.Tensor]) -> tf.Tensor:
        outputs = []
        if self.cnn_keys:
            x = tf.concat([tf.cast(data[k], self._dtype) for k in self.cnn_keys], -1)
            lead = x.shape[:-3]
            x = tf.reshape(x, [-1, *x.shape[-3:]])
            x = in_branches(self._convolve, x, self._branches, least=LEAST_IMAGES)
            outputs.append(tf.reshape(x, [*lead, x.shape[1] * x.shape[2] * x.shape[3]]))
        if self._mlp:
            vectors = [data[k] for k in self.mlp_keys]
            if self._symlog:
                vectors = [squash(tf.cast(x, tf.float32)) for x in vectors]
            x = tf.concat([tf.cast(x, self._dtype) for x in vectors], -1)
            outputs.append(self._mlp(x))
        return outputs[0] if len(outputs) == 1 else tf.concat(outputs, -1)

    def _convolve(self, x: tf.Tensor) -> tf.Tensor:
        layers = list(zip(self._convs, self._norms, strict=True))
        if len(layers) > 1 and layers[0][1] is None and can_pair(layers[0][0], layers[1][0], x):
            (first, _), (second, norm), *layers = layers
            x = conv_pair(first, second, x, self._act, tf.identity if norm else self._act)
            x = self._act(norm(x)) if norm else x
        for conv, norm in layers:
            x = normed(conv, norm, self._act, x)
        return x
