"""A loop over time, and tensors used in several places, whose gradients are added in one order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

Structure = Any
# From carry and input to carry and output.
Step = Callable[[Structure, Structure], tuple[Structure, Structure]]


def scan(
    step: Step, carry: Structure, inputs: Structure, backwards: bool = False
) -> tuple[Structure, Structure]:
    """Runs `step(carry, input) -> (carry, output)` over the first axis of `inputs`.

    Args:
        step: one step; structures of tensors with static shapes in and out.
        carry: structure that goes from step to step.
        inputs: structure of tensors `[time, ...]`, with static `time`.
        backwards: start with the last input.

    Returns:
        The carry after the last step, and the outputs `[time, ...]` in the order of the inputs.
    """
    length = tf.nest.flatten(inputs)[0].shape[0]
    # Shapes and types of an output, found by tracing the step separately.
    first = tf.nest.map_structure(lambda x: x[0], inputs)
    specs = tf.nest.map_structure(lambda x: tf.TensorSpec(x.shape, x.dtype), (carry, first))
    traced = tf.function(lambda carry, now: step(carry, now)[1], autograph=False)
    shapes = traced.get_concrete_function(*specs).structured_outputs
    arrays = [
        tf.TensorArray(spec.dtype, size=length, element_shape=spec.shape)
        for spec in tf.nest.flatten(shapes)
    ]
    # Read from arrays: the gradient of indexing is as large as the input at every step.
    sources = [
        tf.TensorArray(x.dtype, size=length, element_shape=x.shape[1:]).unstack(x)
        for x in tf.nest.flatten(inputs)
    ]

    def body(index, carry, arrays):
        at = length - 1 - index if backwards else index
        now = tf.nest.pack_sequence_as(inputs, [source.read(at) for source in sources])
        carry, output = step(carry, now)
        flat = tf.nest.flatten(output)
        arrays = [array.write(at, value) for array, value in zip(arrays, flat, strict=True)]
        return index + 1, carry, arrays

    _, carry, arrays = tf.while_loop(
        lambda index, *_: index < length,
        body,
        (tf.constant(0), carry, arrays),
        maximum_iterations=length,
        parallel_iterations=1,
    )
    return carry, tf.nest.pack_sequence_as(shapes, [array.stack() for array in arrays])


def forked(x: tf.Tensor, number: int = 2) -> list[tf.Tensor]:
    """`number` copies of `x`, for a tensor that is used in three or more places.

    TensorFlow adds the gradients of more than two uses in an order that depends on which buffers
    are free, so that equal runs differ in rounding. The sum of two is the same in either order.
    """
    if number == 1:
        return [x]

    @tf.custom_gradient
    def run(x):
        def gradient(*upstream):
            if number > 2:
                return tf.reduce_sum(tf.stack(upstream), 0)
            # Flat, or an optimisation would merge this sum with others into one of many terms.
            one, other = (tf.reshape(part, [-1]) for part in upstream)
            return tf.reshape(one + other, x.shape)

        return tuple(tf.identity(x) for _ in range(number)), gradient

    return list(run(x))


def swap(x: tf.Tensor) -> tf.Tensor:
    """Swaps the first two axes, such as batch and time."""
    return tf.transpose(x, [1, 0, *range(2, x.shape.rank)])
