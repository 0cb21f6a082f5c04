"""A loop over time whose kernels get their gradients from one product after the backward pass."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from dreamerv2.nets.cpu.gradients import sum_of_rows
from dreamerv2.nets.scan import Structure, scan


def scan_with_products(
    step: Callable, carry, inputs, products: dict[str, tuple], others
) -> tuple[Structure, Structure]:
    """Like `scan`, with the gradients of kernels taken out of the loop.

    In TensorFlow's backward pass through a loop, each step adds an outer product as large as the
    kernel to its gradient. Here one matrix product over all steps gives the same sum. The backward
    loop is our own, too: it recomputes each step from its products and carry, where TensorFlow
    would push every intermediate value on a stack.

    Args:
        step: `step(product, others, carry, input) -> (carry, output)`; `product(name, x)` is
            `x [batch, in]` times the kernel of that name plus its addend, each used once a step.
        carry: structure passed from step to step.
        inputs: structure of tensors `[time, ...]` without gradients.
        products: name to kernel `[in, out]` and addend, a bias `[out]` or one for each step
            `[time, batch, out]`.
        others: further tensors with gradients that the step uses. What it captures gets none.

    Returns:
        As `scan`.
    """
    sources = (products, others, carry, inputs)
    packed = {}

    @tf.custom_gradient
    def run(*flat):
        # Hidden from outer tapes: TensorFlow would prepare the loop for its own backward pass,
        # which makes the forward pass much slower.
        flat = tuple(tf.stop_gradient(x) for x in flat)
        products, others, carry, inputs = tf.nest.pack_sequence_as(sources, flat)
        kernels = {name: kernel for name, (kernel, _) in products.items()}
        biases = {name: addend for name, (_, addend) in products.items() if addend.shape.rank == 1}
        addends = {name: addend for name, (_, addend) in products.items() if name not in biases}

        def forward(carry, now):
            inputs, addends = now
            factors, results = {}, {}

            def product(name, x):
                factors[name], result = x, tf.matmul(x, kernels[name])
                if name in biases:
                    results[name] = tf.nn.bias_add(result, biases[name])
                else:
                    results[name] = result + addends[name]
                return results[name]

            after, output = step(product, others, carry, inputs)
            return after, (output, carry, factors, results)

        last, (outputs, carries, factors, results) = scan(forward, carry, (inputs, addends))
        packed['results'] = (last, outputs)

        def backward(later, now):
            of_carry, of_others = later
            of_output, carry, results, inputs = now
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch((others, carry, results))

                def product(name, x):
                    return _with_factor(x, kernels[name], results[name])

                ends = step(product, others, carry, inputs)
            more, of_carry, of_results = tape.gradient(
                ends,
                (others, carry, results),
                output_gradients=(of_carry, of_output),
                unconnected_gradients='zero',
            )
            of_others = tf.nest.map_structure(tf.add, of_others, more)
            return (of_carry, of_others), of_results

        def gradient(*upstream):
            of_last, of_outputs = tf.nest.pack_sequence_as(packed['results'], upstream)
            zeros = tf.nest.map_structure(tf.zeros_like, others)
            (of_carry, of_others), of_results = scan(
                backward, (of_last, zeros), (of_outputs, carries, results, inputs), backwards=True
            )
            of_products = {}
            for name, of_result in of_results.items():
                of_rows = tf.reshape(of_result, [-1, of_result.shape[-1]])
                rows = tf.reshape(factors[name], [-1, factors[name].shape[-1]])
                of_addend = sum_of_rows(of_rows) if name in biases else of_result
                of_products[name] = tf.matmul(rows, of_rows, transpose_a=True), of_addend
            of_inputs = tf.nest.map_structure(tf.zeros_like, inputs)
            return tf.nest.flatten((of_products, of_others, of_carry, of_inputs))

        return tf.nest.flatten((last, outputs)), gradient

    results = run(*tf.nest.flatten(sources))
    return tf.nest.pack_sequence_as(packed['results'], results)


@tf.custom_gradient
def _with_factor(x: tf.Tensor, kernel: tf.Tensor, result: tf.Tensor) -> tuple:
    """The known result of `x` times the kernel plus something, with the gradients of both."""

    def gradient(upstream):
        return tf.matmul(upstream, kernel, transpose_b=True), None, upstream

    return tf.identity(result), gradient
