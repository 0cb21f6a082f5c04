"""Gradient step of one group of parameters: clipping, decay, loss scaling, fused update kernels."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

MOMENTS = {'adam': 2, 'adamax': 2, 'sgd': 0, 'momentum': 1}  # Per parameter.
BETA1, BETA2, MOMENTUM = 0.9, 0.999, 0.9
SCALE_GROWTH_STEPS = 2000  # Finite steps after which the loss scale doubles (arXiv:1710.03740).
LEAST_NORM = 1e-3  # Of a parameter, for adaptive clipping: new biases are 0.


def adaptively_clipped(gradient: tf.Tensor, parameter: tf.Tensor, share: float) -> tf.Tensor:
    """A gradient whose norm is at most `share` of the parameter's norm, taken to be at least 1e-3.

    Source: arXiv:2301.04104v2, which clips whole tensors, following arXiv:2102.06171.
    """
    most = share * tf.maximum(tf.norm(parameter), LEAST_NORM)
    return gradient / tf.maximum(tf.norm(gradient) / most, 1.0)


class Gradients(NamedTuple):
    """A loss and its gradients; `finite` is false where NaN or infinity is among them."""

    loss: tf.Tensor
    values: list[tf.Tensor]
    norm: tf.Tensor
    finite: tf.Tensor


class Optimizer(tf.Module):
    """Updates `parameters` by the gradient of a loss.

    The order is DreamerV2's: clip by the global norm, then decay `w *= 1 - wd`, then the update.
    Adaptive clipping, if enabled, follows that by the global norm.
    A step whose loss or gradient is not finite is skipped entirely, including decay and moments.
    With float16 the loss is scaled; such a step is counted in `skipped` and halves the scale.

    Args:
        parameters: name to variable; frozen ones must not be among them.
        opt: one of `MOMENTS`.
        lr: learning rate, or a function from agent steps to it.
        eps: epsilon of Adam.
        clip: largest global norm; 0 for none.
        wd: decay per step, not scaled by the learning rate.
        agc: share for `adaptively_clipped`; 0 for none (arXiv:2301.04104v2 has 0.3).
        warmup: updates over which the learning rate rises linearly from 0; 0 for none.
        scaled: whether to scale the loss (float16).
    """

    def __init__(
        self,
        parameters: dict[str, tf.Variable],
        *,
        lr: float | Callable[[tf.Tensor], tf.Tensor],
        opt: str = 'adam',
        eps: float = 1e-5,
        clip: float = 100.0,
        wd: float = 0.0,
        agc: float = 0.0,
        warmup: int = 0,
        scaled: bool = False,
    ):
        super().__init__()
        if opt not in MOMENTS:
            raise ValueError(f'Unknown optimizer {opt!r}; there are {", ".join(MOMENTS)}.')
        self._parameters = dict(parameters)
        self.variables_to_watch = list(parameters.values())
        self._opt, self._lr, self._eps, self._clip, self._wd = opt, lr, eps, clip, wd
        self._agc, self._warmup, self._scaled = agc, warmup, scaled
        self.updates = tf.Variable(0, dtype=tf.int64)
        self._moments = [
            [tf.Variable(tf.zeros_like(value)) for value in self.variables_to_watch]
            for _ in range(MOMENTS[opt])
        ]
        self.scale = tf.Variable(2.0**15)
        self._clean = tf.Variable(0, dtype=tf.int64)
        self.skipped = tf.Variable(0, dtype=tf.int64)

    def state(self) -> dict[str, tf.Variable]:
        """Every variable of the optimizer by name: moments under the parameter's name."""
        found = {'updates': self.updates}
        for index, group in enumerate(self._moments):
            for name, variable in zip(self._parameters, group, strict=True):
                found[f'{name}/moment{index + 1}'] = variable
        if self._scaled:
            found.update(scale=self.scale, clean=self._clean, skipped=self.skipped)
        return found

    def gradients(self, tape: tf.GradientTape, loss: tf.Tensor) -> Gradients:
        """Gradients of `loss`, a scalar on `tape`."""
        if not self._parameters:  # All are frozen.
            return Gradients(loss, [], tf.zeros([]), tf.math.is_finite(loss))
        factor = tf.stop_gradient(tf.convert_to_tensor(self.scale)) if self._scaled else None
        gradients = tape.gradient(
            loss, self.variables_to_watch, output_gradients=factor, unconnected_gradients='zero'
        )
        if self._scaled:
            gradients = [gradient / factor for gradient in gradients]
        norm = tf.linalg.global_norm(gradients)
        return Gradients(loss, gradients, norm, tf.math.is_finite(norm) & tf.math.is_finite(loss))

    def apply(self, gradients: Gradients, name: str, allowed=True, step=0) -> dict[str, tf.Tensor]:
        """One update, if the gradients are finite and it is `allowed`; metrics under `name`.

        `step` counts agent steps, for the learning rate.
        """
        loss, values, norm, finite = gradients
        metrics = {f'{name}_loss': loss, f'{name}_grad_norm': norm}
        if not values:
            return metrics
        lr = self._lr
        if callable(lr):
            lr = metrics[f'{name}_lr'] = lr(tf.convert_to_tensor(step))
        tf.cond(finite & allowed, lambda: self._step(values, norm, lr), lambda: tf.constant(True))
        if self._scaled:
            metrics[f'{name}_loss_scale'] = tf.identity(self.scale)
            self._rescale(finite)
            metrics[f'{name}_skipped'] = tf.cast(self.skipped, tf.float32)
        return metrics

    def _step(self, gradients: list[tf.Tensor], norm, lr) -> tf.Tensor:
        if self._clip:
            # Most steps need no clipping and skip a pass over all gradients.
            shrink = self._clip / norm
            gradients = tf.cond(
                norm > self._clip,
                lambda: [gradient * shrink for gradient in gradients],
                lambda: gradients,
            )
        if self._agc:
            gradients = [
                adaptively_clipped(gradient, variable, self._agc)
                for gradient, variable in zip(gradients, self.variables_to_watch, strict=True)
            ]
        count = tf.cast(self.updates.assign_add(1), tf.float32)
        if self._warmup:
            lr *= tf.minimum(count / self._warmup, 1.0)
        powers = tf.pow(BETA1, count), tf.pow(BETA2, count)
        updated = zip(self.variables_to_watch, gradients, *self._moments, strict=True)
        for variable, gradient, *moments in updated:
            if self._wd:
                variable.assign(variable * (1 - self._wd))
            self._update(variable.handle, gradient, [m.handle for m in moments], powers, lr)
        return tf.constant(True)

    def _update(self, var, gradient, moments, powers, lr):
        ops = tf.raw_ops
        if self._opt == 'adam':
            ops.ResourceApplyAdam(
                var=var, m=moments[0], v=moments[1], beta1_power=powers[0], beta2_power=powers[1],
                lr=lr, beta1=BETA1, beta2=BETA2, epsilon=self._eps, grad=gradient,
            )  # fmt: skip
        elif self._opt == 'adamax':
            ops.ResourceApplyAdaMax(
                var=var, m=moments[0], v=moments[1], beta1_power=powers[0],
                lr=lr, beta1=BETA1, beta2=BETA2, epsilon=self._eps, grad=gradient,
            )  # fmt: skip
        elif self._opt == 'momentum':
            ops.ResourceApplyKerasMomentum(
                var=var, accum=moments[0], lr=lr, grad=gradient, momentum=MOMENTUM
            )
        else:
            ops.ResourceApplyGradientDescent(var=var, alpha=lr, delta=gradient)

    def _rescale(self, finite: tf.Tensor):
        clean = tf.where(finite, self._clean + 1, 0)
        grow = clean >= SCALE_GROWTH_STEPS
        factor = tf.where(finite, tf.where(grow, 2.0, 1.0), 0.5)
        self.scale.assign(tf.clip_by_value(self.scale * factor, 1.0, 2.0**24))
        self._clean.assign(tf.where(grow, tf.zeros_like(clean), clean))
        self.skipped.assign_add(tf.cast(tf.logical_not(finite), tf.int64))
