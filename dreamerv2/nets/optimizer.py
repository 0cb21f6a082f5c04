"""Gradient step of one group of parameters: clipping, decay, loss scaling, fused update kernels."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

OPTIMIZERS = ('adam', 'adamax', 'sgd', 'momentum')
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
        opt: one of `OPTIMIZERS`.
        lr: learning rate, or a function from agent steps to it.
        eps: epsilon of Adam.
        clip: largest global norm; 0 for none.
        wd: decay per step, not scaled by the learning rate.
        agc: largest norm of each parameter's gradient relative to the parameter's norm, which is
        taken to be at least 1e-3; 0 for none (arXiv:2301.04104v2 has 0.3).
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
        if opt not in OPTIMIZERS:
            raise ValueError(f'Unknown optimizer {opt!r}; there are {", ".join(OPTIMIZERS)}.')
        self._parameters = dict(parameters)
        self._opt, self._lr, self._eps, self._clip, self._wd = opt, lr, eps, clip, wd
        self._agc, self._warmup = agc, warmup
        self.updates = tf.Variable(0, dtype=tf.int64)
        moments = {'adam': 2, 'adamax': 2, 'momentum': 1, 'sgd': 0}[opt]
        self._moments = [
            [tf.Variable(tf.zeros_like(value)) for value in parameters.values()]
            for _ in range(moments)
        ]
        self._scaled = scaled
        self.scale = tf.Variable(2.0**15)
        self._clean = tf.Variable(0, dtype=tf.int64)
        self.skipped = tf.Variable(0, dtype=tf.int64)

    @property
    def variables_to_watch(self) -> list[tf.Variable]:
        return list(self._parameters.values())

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
        variables = self.variables_to_watch
        seed = None if factor is None else factor  # d(scale * loss) / d loss
        gradients = tape.gradient(
            loss, variables, output_gradients=seed, unconnected_gradients='zero'
        )
        if self._scaled:
            gradients = [gradient / factor for gradient in gradients]
        norm = tf.linalg.global_norm(gradients)
        finite = tf.math.is_finite(norm) & tf.math.is_finite(loss)
        return Gradients(loss, gradients, norm, finite)

    def apply(
        self,
        gradients: Gradients,
        name: str,
        allowed: tf.Tensor | bool = True,
        step: tf.Tensor | int = 0,
    ) -> dict[str, tf.Tensor]:
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

    def _step(
        self, gradients: list[tf.Tensor], norm: tf.Tensor, lr: float | tf.Tensor
    ) -> tf.Tensor:
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
        update = getattr(self, f'_{self._opt}')(count, lr)
        for index, (variable, gradient) in enumerate(
            zip(self.variables_to_watch, gradients, strict=True)
        ):
            if self._wd:
                variable.assign(variable * (1 - self._wd))
            update(variable.handle, [group[index].handle for group in self._moments], gradient)
        return tf.constant(True)

    def _rescale(self, finite: tf.Tensor):
        clean = tf.where(finite, self._clean + 1, 0)
        grow = clean >= SCALE_GROWTH_STEPS
        factor = tf.where(finite, tf.where(grow, 2.0, 1.0), 0.5)
        self.scale.assign(tf.clip_by_value(self.scale * factor, 1.0, 2.0**24))
        self._clean.assign(tf.where(grow, tf.zeros_like(clean), clean))
        self.skipped.assign_add(tf.cast(tf.logical_not(finite), tf.int64))

    def _adam(self, count: tf.Tensor, lr: float | tf.Tensor) -> Callable:
        beta1, beta2 = 0.9, 0.999
        powers = tf.pow(beta1, count), tf.pow(beta2, count)
        return lambda handle, moments, gradient: tf.raw_ops.ResourceApplyAdam(
            var=handle, m=moments[0], v=moments[1], beta1_power=powers[0], beta2_power=powers[1],
            lr=lr, beta1=beta1, beta2=beta2, epsilon=self._eps, grad=gradient,
        )  # fmt: skip

    def _adamax(self, count: tf.Tensor, lr: float | tf.Tensor) -> Callable:
        beta1, beta2 = 0.9, 0.999
        return lambda handle, moments, gradient: tf.raw_ops.ResourceApplyAdaMax(
            var=handle, m=moments[0], v=moments[1], beta1_power=tf.pow(beta1, count),
            lr=lr, beta1=beta1, beta2=beta2, epsilon=self._eps, grad=gradient,
        )  # fmt: skip

    def _sgd(self, count: tf.Tensor, lr: float | tf.Tensor) -> Callable:
        return lambda handle, moments, gradient: tf.raw_ops.ResourceApplyGradientDescent(
            var=handle, alpha=lr, delta=gradient
        )

    def _momentum(self, count: tf.Tensor, lr: float | tf.Tensor) -> Callable:
        return lambda handle, moments, gradient: tf.raw_ops.ResourceApplyKerasMomentum(
            var=handle, accum=moments[0], lr=lr, grad=gradient, momentum=0.9
        )
