"""Rows computed in parallel: shards of a batch as branches of one graph.

A CPU's cores can share one operation or compute different ones. For short operations, as in small
networks, sharing costs almost what it saves; branches run independently from the first layer to the
last and wait for each other only at the end.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

Structure = Any


def in_shards(
    function: Callable, inputs: Structure, number: int, *, least: int = 1, axis: int = 0
) -> Structure:
    """`function(inputs)`, computed for `number` equal shards of the rows and joined.

    Gradients of captured tensors are sums over the shards. With two the sum does not depend on
    which is ready first; more would need `forked`.

    Args:
        function: computes each row independently, from and to structures of tensors.
        inputs: structure of tensors with rows along one axis.
        number: number of shards.
        least: smallest number of rows in a shard; with fewer, all rows are computed at once.
        axis: of the rows, in all tensors in and out.
    """
    flat = tf.nest.flatten(inputs)
    rows = flat[0].shape[axis]
    if number == 1 or rows is None or rows % number or rows < number * least:
        return function(inputs)
    columns = [tf.split(x, number, axis) for x in flat]
    shards = [tf.nest.pack_sequence_as(inputs, row) for row in zip(*columns, strict=True)]
    results = [function(shard) for shard in shards]
    return tf.nest.map_structure(lambda *parts: tf.concat(parts, axis), *results)
