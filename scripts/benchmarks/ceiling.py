"""The machine's own limits: arithmetic, copying, and one core's speed.

A 4096-cube matrix product is as much arithmetic as the machine gives in one operation; the rate of
a large copy is what it moves. For the emulator, whose work is branches and small integers, one
core's rate of compression by zlib stands for the core's speed.
"""

from __future__ import annotations

import functools
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np

from dreamerv2.run.devices import Device

from . import subject
from .options import Options
from .report import Report, Table
from .timing import spread, time_interleaved

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


def matrix_flops() -> float:
    """Floating-point operations of `matrix_product`; a multiply-add counts as two."""
    return 2.0 * SIZE**3


def copy(size: int = COPY_BYTES) -> Callable[[], Any]:
    """A call that copies `size` bytes within the host's memory."""
    source = np.ones(size, np.uint8)
    target = np.empty_like(source)
    return functools.partial(np.copyto, target, source)


def host_to_device(size: int = COPY_BYTES) -> Callable[[], Any]:
    """A call that copies `size` bytes to the first GPU and waits for them."""
    import tensorflow as tf

    source = np.ones(size, np.uint8)

    def transfer() -> Any:
        with tf.device('GPU:0'):
            return tf.identity(tf.constant(source))[0].numpy()

    return transfer


def on_device(size: int = 4 * COPY_BYTES) -> Callable[[], Any]:
    """A call that reads and writes `size` bytes of the first GPU's memory."""
    import tensorflow as tf

    with tf.device('GPU:0'):
        source = tf.zeros([size // 4])
        add = tf.function(lambda: source + 1.0, autograph=False)
    return lambda: add()[0].numpy()


def core(size: int = CORE_BYTES) -> Callable[[], Any]:
    """A call that compresses `size` bytes on one core."""
    generator = np.random.default_rng(0)
    data = np.repeat(generator.integers(0, 256, size // 8, dtype=np.uint8), 8).tobytes()
    return lambda: zlib.compress(data, 6)


def precisions(device: Device, wanted: str = 'auto') -> list[str]:
    """What a learner is worth measuring in on a device, or only what was asked for.

    A processor without instructions for bfloat16 imitates it, far slower than float32.
    """
    if wanted != 'auto':
        return [wanted]
    if device.kind == 'gpu':
        return ['float32', 'bfloat16', 'float16']
    return list(dict.fromkeys(['float32', device.precision]))


def run(options: Options) -> Report:
    """Measures all limits."""
    config = options.config
    device = subject.configure(config, options.say)
    formats = precisions(device, config.precision)
    functions = {name: matrix_product(name, device.branches) for name in formats}
    rates = {name: (matrix_flops() / 1e12, 'TFLOP/s') for name in formats}
    titles = {name: f'{SIZE}-cube matrix product, {name}' for name in formats}
    functions |= {'copy': copy(), 'core': core()}
    rates |= {'copy': (COPY_BYTES / 1e9, 'GB/s'), 'core': (CORE_BYTES / 1e6, 'MB/s')}
    titles |= {'copy': 'copy in host memory', 'core': 'zlib on one core'}
    if device.kind == 'gpu':
        functions |= {'transfer': host_to_device(), 'device': on_device()}
        rates |= {'transfer': (COPY_BYTES / 1e9, 'GB/s'), 'device': (8 * COPY_BYTES / 1e9, 'GB/s')}
        titles |= {'transfer': 'copy from host to GPU', 'device': 'GPU memory, read and written'}
    samples = time_interleaved(functions, options.repeat)
    rows: list[list[Any]] = [
        [titles[name], spread(rates[name][0] / seconds for seconds in samples[name]), unit]
        for name, (_, unit) in rates.items()
    ]
    if device.kind != 'gpu':
        rows.append(['GPU', 'not measured: no GPU', ''])
    table = Table('Limits of the machine', ['what', 'rate', 'unit'], rows, [options.spread_note])
    return options.report([table])
