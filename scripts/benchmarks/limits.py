"""The machine's own limits: a matrix product, a copy in memory, and one core's speed."""

from __future__ import annotations

import functools
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np

SIZE = 4096
COPY_BYTES = 256 * 2**20
CORE_BYTES = 2**20


def matrix_product(precision: str, branches: int) -> Callable[[], Any]:
    """A call that multiplies two `[SIZE, SIZE]` matrices and waits for the result.

    Computed in as many branches as the device is best given, so that all of its cores take part.
    """
    import tensorflow as tf

    from dreamerv2.nets.cpu.shards import in_shards

    generator = np.random.default_rng(0)
    left, right = (
        tf.cast(generator.standard_normal((SIZE, SIZE), np.float32), precision) for _ in range(2)
    )
    multiply = functools.partial(in_shards, lambda rows: tf.matmul(rows, right), left, branches)
    product = tf.function(multiply, autograph=False)
    # Reading one number waits for a GPU, and copies next to nothing.
    return lambda: product()[0, 0].numpy()


def copy(size: int = COPY_BYTES) -> Callable[[], Any]:
    """A call that copies `size` bytes within the host's memory."""
    source = np.ones(size, np.uint8)
    target = np.empty_like(source)
    return functools.partial(np.copyto, target, source)


def core(size: int = CORE_BYTES) -> Callable[[], Any]:
    """A call that compresses `size` bytes on one core."""
    generator = np.random.default_rng(0)
    data = np.repeat(generator.integers(0, 256, size // 8, dtype=np.uint8), 8).tobytes()
    return lambda: zlib.compress(data, 6)
