"""The lambda-return, and what rewards and returns are divided by."""

from __future__ import annotations

import math
from collections.abc import Sequence

import tensorflow as tf

from dreamerv2.nets.distributions import masked_mean

Tensors = dict[str, tf.Tensor]


def masked_std(values: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """Standard deviation over the rows that count."""
    mean = masked_mean(values, mask)
    return tf.sqrt(masked_mean(tf.square(values - mean), mask))


def masked_quantiles(values: tf.Tensor, mask: tf.Tensor, quantiles: Sequence[float]) -> tf.Tensor:
    """Quantiles `[quantiles]` of the rows that count, interpolated linearly as by `np.quantile`.

    `values` and `mask`, of 0 and 1, have one shape; the result is infinite where no row counts.
    """
    counted = tf.reshape(mask, [-1]) > 0
    ordered = tf.sort(tf.where(counted, tf.reshape(values, [-1]), math.inf))
    last = tf.maximum(tf.reduce_sum(tf.cast(counted, tf.int32)) - 1, 0)
    place = tf.constant(quantiles, tf.float32) * tf.cast(last, tf.float32)
    below = tf.cast(place, tf.int32)
    low = tf.gather(ordered, below)
    high = tf.gather(ordered, tf.minimum(below + 1, last))
    return low + (place - tf.floor(place)) * (high - low)


def lambda_return(reward, value, discount, bootstrap, lambda_: float) -> tf.Tensor:
    """Lambda-return (arXiv:2010.02193, equation 4; thesis, equation 4).

        V_t = r_t + d_t ((1 - lambda) v_{t+1} + lambda V_{t+1}),  V_H = bootstrap

    Args:
        reward, value, discount: `[time, ...]` of one shape, that of the result.
        bootstrap: value behind the last step, `[...]`.
        lambda_: 0 gives one-step returns, 1 the discounted Monte Carlo return.
    """
    next_value = tf.concat([value[1:], bootstrap[None]], 0)
    inputs = reward + discount * next_value * (1 - lambda_)
    returns, last = [], bootstrap
    for index in reversed(range(reward.shape[0])):
        last = inputs[index] + discount[index] * lambda_ * last
        returns.append(last)
    return tf.stack(returns[::-1])


def replayed_return(
    reward: tf.Tensor, value: tf.Tensor, discount: tf.Tensor, followed: tf.Tensor, lambda_: float
) -> tf.Tensor:
    """Lambda-return along recorded rows, where some are not followed by the next one.

    As `lambda_return`, but the return of a row without a successor is its value: of the last row
    of all, and of the last before padding or before another episode. All are `[time, ...]`;
    `followed` is 1 where the next row belongs to the same episode, and the discount of a terminal
    row is 0.
    """
    returns = [value[-1]]
    for index in reversed(range(reward.shape[0] - 1)):
        later = (1 - lambda_) * value[index + 1] + lambda_ * returns[-1]
        found = reward[index] + discount[index] * later
        returns.append(tf.where(followed[index] > 0, found, value[index]))
    return tf.stack(returns[::-1])


class RewardNormalizer(tf.Module):
    """Divides rewards by the running mean of their magnitude.

    Args:
        momentum: weight of the past; 1 never moves (off), 0 uses the batch alone.
        scale: factor on the result.
        eps: added to the magnitude.
    """

    def __init__(self, momentum: float = 1.0, scale: float = 1.0, eps: float = 1e-8):
        super().__init__()
        self._momentum, self._scale, self._eps = momentum, scale, eps
        self.magnitude = tf.Variable(1.0)

    def __call__(self, reward: tf.Tensor, mask: tf.Tensor) -> tuple[tf.Tensor, Tensors]:
        """Normalised rewards and metrics; `mask` says which rows count, like `reward`."""
        batch = masked_mean(tf.abs(tf.stop_gradient(reward)), mask)
        moved = self._momentum * self.magnitude + (1 - self._momentum) * batch
        self.magnitude.assign(tf.where(tf.math.is_finite(moved), moved, self.magnitude))
        normed = self.scaled(reward)
        return normed, {
            'reward_mean': masked_mean(reward, mask),
            'reward_std': masked_std(reward, mask),
            'reward_normed_mean': masked_mean(normed, mask),
            'reward_normed_std': masked_std(normed, mask),
        }

    def scaled(self, reward: tf.Tensor) -> tf.Tensor:
        """Rewards by the magnitude as it is."""
        return reward / (self.magnitude + self._eps) * self._scale


class ReturnNormalizer(tf.Module):
    """Divides by the range of returns where it is large, so that one entropy scale fits all tasks.

        S <- (1 - rate) S + rate (Per(R, high) - Per(R, low)),  advantage / max(least, S)

    The first update takes the range as it is. Returns of several tasks may differ in size by far
    (thesis, section 3, on PopArt): with scope `level` each level has a range of its own.

    Source: arXiv:2301.04104v2.

    Args:
        levels: number of levels.
        scope: `none` (does nothing), `all` (one range) or `level`.
        rate: weight of the newest range.
        low, high: quantiles.
        least: divisor of small ranges, so that noise is not amplified.
    """

    def __init__(self, levels: int = 1, *, scope='none', rate=0.01, low=0.05, high=0.95, least=1.0):
        super().__init__()
        self._scope, self._rate, self._quantiles, self._least = scope, rate, (low, high), least
        groups = {'none': 0, 'all': 1, 'level': max(levels, 1)}[scope]
        self.range = tf.Variable(tf.zeros([groups])) if groups else None

    def __call__(self, returns, mask, level: tf.Tensor) -> tuple[tf.Tensor, Tensors]:
        """Updates the range by `returns` and `mask` `[time, N]`; `level [N]` is of each rollout.

        Returns what to divide advantages by, `[N]`, and metrics.
        """
        if self.range is None:
            return tf.ones(returns.shape[1:]), {}
        groups = self.range.shape[0]
        by_level = self._scope == 'level'
        member = tf.one_hot(level, groups) if by_level else tf.ones([level.shape[0], 1])
        ranges = []
        for group in range(groups):
            rows = mask * member[None, :, group]
            low, high = tf.unstack(masked_quantiles(returns, rows, self._quantiles))
            moved = (1 - self._rate) * self.range[group] + self._rate * (high - low)
            moved = tf.where(self.range[group] > 0, moved, high - low)
            known = (tf.reduce_sum(rows) > 0) & tf.math.is_finite(moved)
            ranges.append(tf.where(known, moved, self.range[group]))
        now = self.range.assign(tf.stack(ranges))
        scale = tf.linalg.matvec(member, tf.maximum(now, self._least))
        return tf.stop_gradient(scale), {'return_range': tf.reduce_mean(now)}
