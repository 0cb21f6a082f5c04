"""Encoder and decoder: observations to an embedding, and latent features to observations."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from dreamerv2.nets.distributions import SymlogNormal, UnitNormal
from dreamerv2.nets.distributions import symlog as squash
from dreamerv2.nets.layers import (
    PLAIN,
    Conv,
    ConvTranspose,
    Dense,
    Kernels,
    LayerNorm,
    activation,
    make_norm,
    named,
    normed,
    stacked,
)
from dreamerv2.nets.mlp import MLP, DistributionLayer

Shapes = Mapping[str, Sequence[int]]


def select_keys(shapes: Shapes, pattern: str, rank: int) -> list[str]:
    """Observation keys that match the regular expression and have `rank` axes, in order."""
    return [k for k, shape in shapes.items() if re.match(pattern, k) and len(shape) == rank]


class Encoder(tf.Module):
    """Embeds observations `{key: [..., *shape]}` as `[..., size]`.

    Args:
        shapes: shape of every observation key, without batch axes.
        cnn_keys, mlp_keys: regular expressions for images (three axes) and vectors (one axis).
        cnn_depth: channels of the first convolution; doubled by each further one.
        cnn_kernels: kernel sizes of the stride-2 convolutions.
        mlp_layers: units of the layers for vectors.
        symlog: whether vectors are transformed by symlog (arXiv:2301.04104v2).
        dtype: of the computation.
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
        dtype: tf.DType,
        kernels: Kernels = PLAIN,
        **made: Any,
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
        made.update(dtype=dtype, kernels=kernels)
        if self.cnn_keys:
            height, width, _ = shapes[self.cnn_keys[0]]
            channels = sum(shapes[k][2] for k in self.cnn_keys)
            for index, size in enumerate(cnn_kernels):
                if min(height, width) < size:
                    raise ValueError(
                        f'Images of {list(shapes[self.cnn_keys[0]])} are too small for '
                        f'encoder.cnn_kernels {list(cnn_kernels)}.'
                    )
                units = 2**index * cnn_depth
                self.convs.append(Conv(channels, units, size, **made))
                self.norms.append(make_norm(norm, units, kernels=kernels))
                height, width, channels = (height - size) // 2 + 1, (width - size) // 2 + 1, units
            self.size += height * width * channels
        self._mlp = None
        if self.mlp_keys:
            inputs = sum(shapes[k][0] for k in self.mlp_keys)
            self._mlp = MLP(inputs, mlp_layers, act=act, norm=norm, **made)
            self.size += self._mlp.size

    def parameters(self) -> dict[str, tf.Variable]:
        convolutions = stacked('conv', self.convs, self.norms)
        return {**convolutions, **(self._mlp.parameters() if self._mlp else {})}

    def __call__(self, data: Mapping[str, tf.Tensor]) -> tf.Tensor:
        outputs = []
        if self.cnn_keys:
            x = tf.concat([tf.cast(data[k], self._dtype) for k in self.cnn_keys], -1)
            lead = x.shape[:-3]
            x = self._kernels.encode(self, tf.reshape(x, [-1, *x.shape[-3:]]))
            outputs.append(tf.reshape(x, [*lead, x.shape[1] * x.shape[2] * x.shape[3]]))
        if self._mlp:
            vectors = [data[k] for k in self.mlp_keys]
            if self._symlog:
                vectors = [squash(tf.cast(x, tf.float32)) for x in vectors]
            outputs.append(self._mlp(tf.concat([tf.cast(x, self._dtype) for x in vectors], -1)))
        return outputs[0] if len(outputs) == 1 else tf.concat(outputs, -1)

    def convolve(self, x: tf.Tensor) -> tf.Tensor:
        """Images `[N, height, width, channels]` through all convolutions."""
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = normed(conv, norm, self.act, x)
        return x


class Decoder(tf.Module):
    """Features `[..., inputs]` to `{key: distribution over [..., *shape]}`; images in [-0.5, 0.5].

    The convolutional part starts from a 1x1 image of 32 `cnn_depth` channels and halves the
    channels with each stride-2 transposed convolution. Arguments are those of the encoder, and
    `error_weight`, which weights the pixels of images (`distributions.pixel_weights`).
    """

    def __init__(
        self,
        inputs: int,
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
        error_weight: float = 0.0,
        dtype: tf.DType,
        kernels: Kernels = PLAIN,
        **made: Any,
    ):
        super().__init__()
        self.cnn_keys = select_keys(shapes, cnn_keys, 3)
        self.mlp_keys = select_keys(shapes, mlp_keys, 1)
        self._dtype, self._kernels, self._error_weight = dtype, kernels, error_weight
        self.act = activation(act)
        self._start = None
        self.convs: list[ConvTranspose] = []
        self.norms: list[LayerNorm | None] = []
        made.update(dtype=dtype, kernels=kernels)
        if self.cnn_keys:
            self._channels = [shapes[k][2] for k in self.cnn_keys]
            units, side, last = 32 * cnn_depth, 1, len(cnn_kernels) - 1
            self._start = Dense(inputs, units, **made)
            for index, size in enumerate(cnn_kernels):
                is_last = index == last
                out = sum(self._channels) if is_last else 2 ** (last - index - 1) * cnn_depth
                self.convs.append(ConvTranspose(units, out, size, **made))
                self.norms.append(make_norm('none' if is_last else norm, out, kernels=kernels))
                units, side = out, 2 * (side - 1) + size
            for key in self.cnn_keys:
                if list(shapes[key][:2]) != [side, side]:
                    raise ValueError(
                        f'decoder.cnn_kernels {list(cnn_kernels)} give images of {side}x{side}, '
                        f'but {key!r} is {shapes[key][0]}x{shapes[key][1]}.'
                    )
        self._mlp = None
        if self.mlp_keys:
            self._mlp = MLP(inputs, mlp_layers, act=act, norm=norm, **made)
            dist = 'symlog_mse' if symlog else 'mse'
            self._heads = {
                k: DistributionLayer(self._mlp.size, shapes[k], dist=dist, **made)
                for k in self.mlp_keys
            }

    def parameters(self) -> dict[str, tf.Variable]:
        found = {**named('in', self._start), **stacked('conv', self.convs, self.norms)}
        if self._mlp:
            found.update(self._mlp.parameters())
            for key, head in self._heads.items():
                found.update(head.parameters(f'out_{key}'))
        return found

    def __call__(self, features: tf.Tensor) -> dict[str, UnitNormal | SymlogNormal]:
        features = tf.cast(features, self._dtype)
        outputs: dict[str, UnitNormal | SymlogNormal] = {}
        if self.cnn_keys:
            x = self._kernels.decode(self, tf.reshape(features, [-1, features.shape[-1]]))
            x = tf.reshape(x, [*features.shape[:-1], *x.shape[1:]])
            for key, mean in zip(self.cnn_keys, tf.split(x, self._channels, -1), strict=True):
                outputs[key] = UnitNormal(mean, 3, self._error_weight)
        if self._mlp:
            hidden = self._mlp(features)
            outputs.update({key: head(hidden) for key, head in self._heads.items()})
        return outputs

    def deconvolve(self, features: tf.Tensor) -> tf.Tensor:
        """Features `[N, inputs]` to the images of all keys `[N, height, width, channels]`."""
        x = self.start(features)
        *hidden, last = self.convs
        for conv, norm in zip(hidden, self.norms, strict=False):
            x = normed(conv, norm, self.act, x)
        return last(x)

    def start(self, features: tf.Tensor) -> tf.Tensor:
        """The 1x1 images it starts from, `[N, 1, 1, 32 cnn_depth]`."""
        assert self._start is not None, 'called only with image keys'
        return self._start(features)[:, None, None, :]
