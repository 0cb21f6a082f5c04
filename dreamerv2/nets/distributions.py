"""Output distributions in float32 with a common interface, and the mean over rows that count.

`log_prob(value)`, `mean()`, `mode()`, `entropy()` have the shape of the batch (`mean` and `mode`
with the event's axes appended). `sample(uniform)` turns uniform numbers in [0, 1) of shape `[...,
*noise_shape]` into a draw, so that random numbers are drawn outside time loops, from one seeded
source, and compile everywhere.
"""

from __future__ import annotations

import math

import numpy as np
import tensorflow as tf

LOG_2PI = math.log(2 * math.pi)
ERROR_LIMIT = 50.0  # Multiple of the mean error above which a pixel's weight stays constant.


def masked_mean(values: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """`sum(mask * values) / sum(mask)` for tensors of one shape; 0 where no row counts."""
    return tf.reduce_sum(mask * values) / tf.maximum(tf.reduce_sum(mask), 1e-8)


def categorical_sample(logits: tf.Tensor, uniform: tf.Tensor) -> tf.Tensor:
    """One-hot draw `[..., classes]` by inverting the CDF at `uniform [...]`.

    The running sum over classes is a product with a triangular matrix, far cheaper than the
    logarithm per class of the usual Gumbel draw.
    """
    classes = logits.shape[-1]
    triangle = tf.linalg.band_part(tf.ones([classes, classes - 1]), 0, -1)
    probs = tf.reshape(tf.nn.softmax(tf.cast(logits, tf.float32)), [-1, classes])
    below = tf.matmul(probs, triangle) <= tf.reshape(uniform, [-1, 1])
    index = tf.reduce_sum(tf.cast(below, tf.int32), -1)
    return tf.reshape(tf.one_hot(index, classes), tf.shape(logits))


def mix_uniform(logits: tf.Tensor, share: float) -> tf.Tensor:
    """Log-probabilities `[..., classes]` of `(1 - share) softmax(logits) + share / classes`.

    No probability is ever 0, so that KL divergences stay bounded (arXiv:2301.04104v2, with a share
    of 1 %). With a share of 0 the logits stay as they are.
    """
    if not share:
        return logits
    return tf.math.log((1 - share) * tf.nn.softmax(logits) + share / logits.shape[-1])


def symlog(x: tf.Tensor) -> tf.Tensor:
    """`sign(x) log(1 + |x|)` (arXiv:2301.04104v2)."""
    return tf.sign(x) * tf.math.log1p(tf.abs(x))


def symexp(x: tf.Tensor) -> tf.Tensor:
    """`sign(x) (exp(|x|) - 1)`, the inverse of `symlog`."""
    return tf.sign(x) * tf.math.expm1(tf.abs(x))


@tf.custom_gradient
def straight_through(value: tf.Tensor, other: tf.Tensor) -> tuple:
    """`value`, whose gradient goes to `other` instead."""
    return tf.identity(value), lambda upstream: (None, upstream)


class OneHot:
    """Categorical distribution over one-hot vectors with straight-through gradients.

    The draw has the gradient of the probabilities (arXiv:2010.02193, Algorithm 1).
    """

    def __init__(self, logits: tf.Tensor):
        self.logits = tf.cast(logits, tf.float32)

    def mean(self) -> tf.Tensor:
        return tf.nn.softmax(self.logits)

    def mode(self) -> tf.Tensor:
        return tf.one_hot(tf.argmax(self.logits, -1), self.logits.shape[-1])

    def sample(self, uniform: tf.Tensor | None) -> tf.Tensor:
        """A draw, or the mode where `uniform [...]` is None, with straight-through gradient."""
        if uniform is None:
            one_hot = self.mode()
        else:
            one_hot = tf.stop_gradient(categorical_sample(self.logits, uniform))
        return straight_through(one_hot, self.mean())

    def log_prob(self, value: tf.Tensor) -> tf.Tensor:
        return tf.reduce_sum(tf.cast(value, tf.float32) * tf.nn.log_softmax(self.logits), -1)

    def entropy(self) -> tf.Tensor:
        log_probs = tf.nn.log_softmax(self.logits)
        return -tf.reduce_sum(tf.exp(log_probs) * log_probs, -1)


class UniformBox:
    """Uniform distribution over [-1, 1] in every dimension, of the shape of `like [..., size]`."""

    def __init__(self, like: tf.Tensor):
        self._like = like

    def mode(self) -> tf.Tensor:
        return tf.zeros_like(self._like)

    def sample(self, uniform: tf.Tensor) -> tf.Tensor:
        """A draw from numbers in [0, 1), `[..., size]`."""
        return 2 * uniform - 1


class UnitNormal:
    """Normal distribution of unit variance (`mse` in the configuration), event of `rank` axes.

    With `error_weight`, for images `[..., height, width, channels]`, the gradient of each pixel is
    multiplied by `pixel_weights` of the squared error; the likelihood itself is unchanged.
    """

    def __init__(self, mean: tf.Tensor, rank: int, error_weight: float = 0.0):
        self._mean = tf.cast(mean, tf.float32)
        self._axes = list(range(-rank, 0))
        self._error_weight = error_weight

    def mean(self) -> tf.Tensor:
        return self._mean

    mode = mean

    def log_prob(self, value: tf.Tensor) -> tf.Tensor:
        # By hand: TensorFlow computes the target's gradient too, in five passes over the images.
        @tf.custom_gradient
        def squared_distance(mean, value):
            difference = mean - value
            square = tf.square(difference)

            def gradient(upstream):
                factor = tf.reshape(2 * upstream, [*upstream.shape, *(1 for _ in self._axes)])
                if self._error_weight:
                    factor = factor * pixel_weights(square, self._error_weight)
                return difference * factor, None

            return tf.reduce_sum(square, self._axes), gradient

        size = math.prod(self._mean.shape[axis] for axis in self._axes)
        square = squared_distance(self._mean, tf.cast(value, tf.float32))
        return -0.5 * square - 0.5 * LOG_2PI * size


def pixel_weights(square: tf.Tensor, strength: float) -> tf.Tensor:
    """Weights `[..., height, width, 1]`, larger where the reconstruction is wrong.

        w = 1 + strength min(e / mean(e), 50) / 50

    with e the mean of the squared errors `square [..., height, width, channels]` over channels and
    3x3 neighbours, and its mean over all images of the batch. A sprite covers few pixels, so the
    plain likelihood gains little from drawing it, but its error is large as long as it is missing.
    No gradient flows through the weight.
    """
    error = tf.reduce_mean(square, -1, keepdims=True)
    near = tf.reshape(neighbourhood_mean(tf.reshape(error, [-1, *error.shape[-3:]])), error.shape)
    ratio = near / tf.maximum(tf.reduce_mean(near), 1e-12)
    return 1 + strength / ERROR_LIMIT * tf.minimum(ratio, ERROR_LIMIT)


def neighbourhood_mean(images: tf.Tensor) -> tf.Tensor:
    """Means over 3x3 pixels of `images [N, height, width, channels]`, at the edges over fewer.

    Bit for bit what `tf.nn.avg_pool2d` computes, in a tenth of its time on a CPU.
    """
    height, width = images.shape[1:3]
    edge = [[0, 0], [1, 1], [1, 1], [0, 0]]
    inside = np.pad(np.ones([1, height, width, 1], np.float32), edge)
    # TensorFlow would reorder sums and take the reciprocal of a constant, but leaves these alone.
    negative = tf.pad(-images, edge)
    total, count = tf.zeros_like(images), np.zeros([1, height, width, 1], np.float32)
    for y in range(3):
        for x in range(3):
            total -= negative[:, y : y + height, x : x + width]
            count += inside[:, y : y + height, x : x + width]
    return tf.math.divide_no_nan(total, count)


class SymlogNormal(UnitNormal):
    """Normal distribution of unit variance over the symlog of a value, event of `rank` axes.

    For vectors of unknown size (arXiv:2301.04104v2); the mean is mapped back.
    """

    def mean(self) -> tf.Tensor:
        return symexp(self._mean)

    mode = mean

    def log_prob(self, value: tf.Tensor) -> tf.Tensor:
        return super().log_prob(symlog(tf.cast(value, tf.float32)))


class TwoHot:
    """Categorical distribution over exponentially spaced bins, for any scalar.

    A value between two bins is shared between both, so that its expectation is exact
    (arXiv:2301.04104v2). Logits are `[..., 255]`; bins = symexp(linspace(-20, 20, 255)).
    """

    BINS = 255
    LIMIT = 20.0

    def __init__(self, logits: tf.Tensor):
        self.logits = tf.cast(logits, tf.float32)

    @classmethod
    def bins(cls) -> tf.Tensor:
        """The bins' values `[255]`; exactly symmetric around 0."""
        half = symexp(tf.linspace(0.0, cls.LIMIT, cls.BINS // 2 + 1))
        return tf.concat([-half[:0:-1], half], 0)

    def mean(self) -> tf.Tensor:
        # Each bin is paired with its opposite: a plain sum would lose the small terms, and equal
        # probabilities would not give exactly 0.
        probs, half = tf.nn.softmax(self.logits), self.BINS // 2
        odd = probs[..., half + 1 :] - tf.reverse(probs[..., :half], [-1])
        return tf.reduce_sum(odd * self.bins()[half + 1 :], -1)

    mode = mean

    def log_prob(self, value: tf.Tensor) -> tf.Tensor:
        bins = self.bins()
        value = tf.clip_by_value(tf.cast(value, tf.float32), bins[0], bins[-1])
        above = tf.reduce_sum(tf.cast(bins <= value[..., None], tf.int32), -1)
        above = tf.clip_by_value(above, 1, self.BINS - 1)
        low, high = tf.gather(bins, above - 1), tf.gather(bins, above)
        share = ((value - low) / (high - low))[..., None]
        target = (1 - share) * tf.one_hot(above - 1, self.BINS)
        target += share * tf.one_hot(above, self.BINS)
        return tf.reduce_sum(target * tf.nn.log_softmax(self.logits), -1)


class Bernoulli:
    """Bernoulli distribution (`binary`); targets may be soft, as the discount's are."""

    def __init__(self, logits: tf.Tensor, rank: int):
        self._logits = tf.cast(logits, tf.float32)
        self._axes = list(range(-rank, 0))

    def mean(self) -> tf.Tensor:
        return tf.sigmoid(self._logits)

    def mode(self) -> tf.Tensor:
        return tf.cast(self._logits > 0, tf.float32)

    def log_prob(self, value: tf.Tensor) -> tf.Tensor:
        rows = tf.cast(value, tf.float32) * self._logits - tf.nn.softplus(self._logits)
        return tf.reduce_sum(rows, self._axes)


def standard_normal(uniform: tf.Tensor) -> tf.Tensor:
    """Standard normal numbers from uniform ones."""
    return tf.math.ndtri(tf.clip_by_value(uniform, 1e-7, 1 - 1e-7))


class Normal:
    """Normal distribution with learned mean and standard deviation over the last `rank` axes."""

    def __init__(self, mean: tf.Tensor, std: tf.Tensor, rank: int):
        self._mean, self._std = mean, std
        self._axes = list(range(-rank, 0))

    def mean(self) -> tf.Tensor:
        return self._mean

    mode = mean

    def sample(self, uniform: tf.Tensor | None) -> tf.Tensor:
        return self._mean if uniform is None else self._mean + self._std * standard_normal(uniform)

    def log_prob(self, value: tf.Tensor) -> tf.Tensor:
        square = tf.square((tf.cast(value, tf.float32) - self._mean) / self._std)
        return tf.reduce_sum(-0.5 * (square + LOG_2PI) - tf.math.log(self._std), self._axes)

    def entropy(self) -> tf.Tensor:
        return tf.reduce_sum(0.5 * (1 + LOG_2PI) + tf.math.log(self._std), self._axes)


class TruncatedNormal:
    """Normal truncated to [-1, 1], independent over the last axis; the mode is the location."""

    def __init__(self, loc: tf.Tensor, scale: tf.Tensor):
        from tensorflow_probability import distributions as tfd

        self._loc, self._scale = loc, scale
        self._dist = tfd.Independent(tfd.TruncatedNormal(loc, scale, -1.0, 1.0), 1)

    def mean(self) -> tf.Tensor:
        return self._dist.mean()

    def mode(self) -> tf.Tensor:
        return self._loc

    def sample(self, uniform: tf.Tensor | None) -> tf.Tensor:
        """Draw by inverting the CDF; its gradient is the reparametrisation."""
        if uniform is None:
            return self._loc
        low, high = (
            0.5 * tf.math.erfc(-((end - self._loc) / self._scale) / math.sqrt(2)) for end in (-1, 1)
        )
        level = tf.clip_by_value(low + uniform * (high - low), 1e-7, 1 - 1e-7)
        value = self._loc + self._scale * tf.math.ndtri(level)
        clipped = tf.clip_by_value(value, -1 + 1e-6, 1 - 1e-6)
        return value + tf.stop_gradient(clipped - value)

    def log_prob(self, value: tf.Tensor) -> tf.Tensor:
        return self._dist.log_prob(value)

    def entropy(self) -> tf.Tensor:
        return self._dist.entropy()


class TanhNormal(Normal):
    """Normal squashed by tanh, independent over the last axis.

    The entropy has no closed form: it is estimated with fixed quantiles of the normal.
    """

    QUANTILES = 32

    def __init__(self, mean: tf.Tensor, std: tf.Tensor):
        super().__init__(mean, std, 1)

    def mean(self) -> tf.Tensor:
        return tf.tanh(self._mean)

    mode = mean

    def sample(self, uniform: tf.Tensor | None) -> tf.Tensor:
        return tf.tanh(super().sample(uniform))

    def log_prob(self, value: tf.Tensor) -> tf.Tensor:
        before = tf.atanh(tf.clip_by_value(value, -0.9999999, 0.9999999))
        return super().log_prob(before) - tf.reduce_sum(log_slope_of_tanh(before), -1)

    def entropy(self) -> tf.Tensor:
        levels = (tf.range(self.QUANTILES, dtype=tf.float32) + 0.5) / self.QUANTILES
        before = self._mean[..., None] + self._std[..., None] * standard_normal(levels)
        correction = tf.reduce_mean(log_slope_of_tanh(before), -1)
        return super().entropy() + tf.reduce_sum(correction, -1)


def log_slope_of_tanh(x: tf.Tensor) -> tf.Tensor:
    """log(1 - tanh(x)^2), stable for large |x|."""
    return 2 * (math.log(2) - x - tf.nn.softplus(-2 * x))
