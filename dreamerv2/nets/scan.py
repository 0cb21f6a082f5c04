"""A loop over time that compiles everywhere: constant bound, static shapes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

Structure = Any

INTEGERS = {2: tf.int16, 4: tf.int32, 8: tf.int64}


def scan(
    step: Callable[[Structure, Structure], tuple[Structure, Structure]],
    carry: Structure,
    inputs: Structure,
) -> tuple[Structure, Structure]:
    """Runs `step(carry, input) -> (carry, output)` over the first axis of `inputs`.

    Args:
        step: one step; structures of tensors with static shapes in and out.
        carry: structure that goes from step to step.
        inputs: structure of tensors `[time, ...]`, with static `time`.

    Returns:
        The last carry and the outputs, stacked to `[time, ...]`.
    """
    length = tf.nest.flatten(inputs)[0].shape[0]
    first = tf.nest.map_structure(lambda x: x[0], inputs)
    shapes = _output_spec(step, carry, first)
    arrays = [
        tf.TensorArray(spec.dtype, size=length, element_shape=spec.shape)
        for spec in tf.nest.flatten(shapes)
    ]
    # Read from arrays: the gradient of indexing is as large as the whole at every step.
    sources = [
        tf.TensorArray(x.dtype, size=length, element_shape=x.shape[1:]).unstack(x)
        for x in tf.nest.flatten(inputs)
    ]

    def body(index, carry, arrays):
        now = tf.nest.pack_sequence_as(inputs, [source.read(index) for source in sources])
        carry, output = step(carry, now)
        flat = tf.nest.flatten(output)
        arrays = [array.write(index, value) for array, value in zip(arrays, flat, strict=True)]
        return index + 1, carry, arrays

    _, carry, arrays = tf.while_loop(
        lambda index, *_: index < length,
        body,
        (tf.constant(0), carry, arrays),
        maximum_iterations=length,
        parallel_iterations=1,
    )
    outputs = [array.stack() for array in arrays]
    return carry, tf.nest.pack_sequence_as(shapes, outputs)


def _output_spec(step, carry, first) -> Structure:
    """Shapes and types of one step's output, found by tracing the step apart."""
    spec = tf.nest.map_structure(lambda x: tf.TensorSpec(x.shape, x.dtype), (carry, first))
    traced = tf.function(lambda carry, now: step(carry, now)[1], autograph=False)
    return traced.get_concrete_function(*spec).structured_outputs


def scan_with_kernels(
    step: Callable[..., tuple[Structure, Structure]],
    carry: Structure,
    inputs: Structure,
    kernels: dict[str, tf.Tensor],
    others: Structure,
) -> tuple[Structure, Structure]:
    """Like `scan`, with the kernels' gradients taken out of the loop.

    Backwards through a loop, each step adds an outer product as large as the kernel to its
    gradient. Here the loop only finds the gradient with respect to each step's product, and one
    matrix product over all steps makes the kernel's: the same sum.

    Args:
        step: `step(linear, others, carry, input) -> (carry, output)`; `linear(name, x)` is
            `x [batch, in]` times the kernel of that name, each used once a step.
        carry: structure that goes from step to step.
        inputs: structure of tensors `[time, ...]`.
        kernels: name to `[in, out]`.
        others: further tensors with gradients that the step uses. What it captures has none.

    Returns:
        As `scan`.
    """
    sources = (kernels, others, carry, inputs)
    time = tf.nest.flatten(inputs)[0].shape[0]
    batch = tf.nest.flatten(carry)[0].shape[0]
    packed = {}

    @tf.custom_gradient
    def run(*flat):
        # Out of sight of tapes around this one: TensorFlow would prepare the loop for gradients of
        # gradients, which makes the way back much longer.
        flat = tuple(tf.stop_gradient(x) for x in flat)
        kernels, others, carry, inputs = tf.nest.pack_sequence_as(sources, flat)
        shifts = {k: tf.zeros([time, batch, v.shape[1]], v.dtype) for k, v in kernels.items()}
        # As integers, or each step backwards would add zeros of the kernels' size.
        integers = {k: tf.bitcast(v, INTEGERS[v.dtype.size]) for k, v in kernels.items()}
        watched = tf.nest.flatten((others, carry, inputs, shifts))

        def recorded(carry, now):
            inputs, shifts = now
            factors = {}

            def linear(name, x):
                factors[name] = tf.stop_gradient(x)
                return tf.matmul(x, tf.bitcast(integers[name], x.dtype)) + shifts[name]

            carry, output = step(linear, others, carry, inputs)
            return carry, (output, factors)

        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(watched)
            last, (outputs, factors) = scan(recorded, carry, (inputs, shifts))
        packed['results'] = (last, outputs)
        results = tf.nest.flatten((last, outputs))

        def gradient(*upstream):
            found = tape.gradient(
                results, watched, output_gradients=upstream, unconnected_gradients='zero'
            )
            found, products = found[: -len(shifts)], found[-len(shifts) :]
            products = tf.nest.pack_sequence_as(shifts, products)
            flat_kernels = tf.nest.flatten(
                {
                    name: tf.matmul(
                        tf.reshape(factors[name], [-1, kernel.shape[0]]),
                        tf.reshape(products[name], [-1, kernel.shape[1]]),
                        transpose_a=True,
                    )
                    for name, kernel in kernels.items()
                }
            )
            return flat_kernels + found

        return results, gradient

    results = run(*tf.nest.flatten(sources))
    return tf.nest.pack_sequence_as(packed['results'], results)
