"""Running scale of imagined rewards."""

from __future__ import annotations

import tensorflow as tf

from dreamerv2.agent.returns import masked_mean, masked_std


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

    def __call__(
        self, reward: tf.Tensor, mask: tf.Tensor
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """Normalised rewards and metrics; `mask` says which rows count, like `reward`."""
        batch = masked_mean(tf.abs(tf.stop_gradient(reward)), mask)
        moved = self._momentum * self.magnitude + (1 - self._momentum) * batch
        self.magnitude.assign(tf.where(tf.math.is_finite(moved), moved, self.magnitude))
        normed = self.scaled(reward)
        metrics = {
            'reward_mean': masked_mean(reward, mask),
            'reward_std': masked_std(reward, mask),
            'reward_normed_mean': masked_mean(normed, mask),
            'reward_normed_std': masked_std(normed, mask),
        }
        return normed, metrics

    def scaled(self, reward: tf.Tensor) -> tf.Tensor:
        """Rewards by the magnitude as it is."""
        return reward / (self.magnitude + self._eps) * self._scale
