"""Running range of imagined returns, by which the actor's advantages are divided."""

from __future__ import annotations

import tensorflow as tf

from dreamerv2.agent.returns import masked_quantiles


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

    def __init__(
        self,
        levels: int = 1,
        *,
        scope: str = 'none',
        rate: float = 0.01,
        low: float = 0.05,
        high: float = 0.95,
        least: float = 1.0,
    ):
        super().__init__()
        self._scope, self._rate, self._quantiles, self._least = scope, rate, (low, high), least
        groups = {'none': 0, 'all': 1, 'level': max(levels, 1)}[scope]
        self.range = tf.Variable(tf.zeros([groups])) if groups else None

    def __call__(
        self, returns: tf.Tensor, mask: tf.Tensor, level: tf.Tensor
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """Updates the range.

        Args:
            returns, mask: `[time, N]`.
            level: of each rollout, `[N]`.

        Returns:
            What to divide advantages by, `[N]`, and metrics.
        """
        if self.range is None:
            return tf.ones(returns.shape[1:]), {}
        groups = self.range.shape[0]
        member = (
            tf.one_hot(level, groups) if self._scope == 'level' else tf.ones([level.shape[0], 1])
        )
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
