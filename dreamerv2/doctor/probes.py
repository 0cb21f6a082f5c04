"""Checks that may crash the process run in a separate one: native libraries, TensorFlow, emulator.

`python -m dreamerv2.doctor.probes NAME` prints one line of JSON.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from dreamerv2.quiet import prepare_tensorflow

TIMEOUT = 300.0

_COMMANDS = 'train evaluate api run.training run.metrics.video envs.gym_env analysis.plot'.split()


class ProbeError(Exception):
    """A probe's process failed; the message says how."""


def probe(name: str, timeout: float = TIMEOUT) -> dict[str, Any]:
    """Runs one of `PROBES` in a process of its own, which is killed after `timeout` seconds.

    Returns its result, with the lines that libraries printed under `stderr`. Raises ProbeError
    where it failed, died or took too long.
    """
    package = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(filter(None, [package, os.environ.get('PYTHONPATH')]))
    command = [sys.executable, '-m', 'dreamerv2.doctor.probes', name]
    try:
        result = subprocess.run(
            command, capture_output=True, text=True, errors='replace', timeout=timeout,
            env={**os.environ, 'PYTHONPATH': path},
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise ProbeError(f'no answer within {timeout:.0f} s') from None
    if result.returncode < 0:
        raise ProbeError(f'the process died of {_signal_name(-result.returncode)}')
    said = [line for line in result.stderr.splitlines() if line.strip()]
    if result.returncode:
        raise ProbeError(said[-1].strip() if said else f'exit code {result.returncode}')
    try:
        return {**json.loads(result.stdout.splitlines()[-1]), 'stderr': said}
    except (IndexError, ValueError, TypeError):
        raise ProbeError(f'an invalid answer: {result.stdout[-200:]!r}') from None


def _signal_name(number: int) -> str:
    names = {one.value: one.name for one in signal.Signals}
    name = names.get(number, f'signal {number}')
    return f'{name} (an instruction that this processor lacks)' if name == 'SIGILL' else name


def modules() -> dict[str, Any]:
    """Imports what the commands import before TensorFlow."""
    for name in _COMMANDS:
        importlib.import_module(f'dreamerv2.{name}')
    return {}


def tensorflow() -> dict[str, Any]:
    """Imports TensorFlow and the agent, lists the GPUs, and computes something."""
    os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '1')  # Warnings say why a GPU is not used.
    prepare_tensorflow()
    import tensorflow as tf

    gpus = tf.config.list_physical_devices('GPU')
    for gpu in gpus:
        tf.config.experimental.set_memory_growth(gpu, True)
    details = [tf.config.experimental.get_device_details(gpu) for gpu in gpus]
    importlib.import_module('dreamerv2.agent')
    picture = tf.ones([1, 8, 8, 1])
    total = float(tf.reduce_sum(tf.nn.conv2d(picture, tf.ones([4, 4, 1, 2]), 2, 'VALID')))
    if total != 288:  # 3 x 3 places, 2 channels, 16 ones each
        raise RuntimeError(f'a convolution gave {total} instead of 288')
    names = [str(found.get('device_name', 'GPU')) for found in details]
    capabilities = [list(found.get('compute_capability') or (0, 0)) for found in details]
    pairs = zip(names, capabilities, strict=True)
    return {
        'version': tf.__version__,
        'cuda': bool(tf.test.is_built_with_cuda()),
        'gpus': [{'name': name, 'capability': capability} for name, capability in pairs],
    }


def emulator() -> dict[str, Any]:
    """Runs to the right in a level of Mario for up to 100 agent steps of 4 frames."""
    from dreamerv2.envs import make_env

    env = make_env('mario_1-1', sticky=0.0, action_repeat=4)
    first = last = env.reset()
    started, played = time.perf_counter(), 0
    while played < 100 and not last['is_last']:
        last = env.step(1)
        played += 1
    seconds = time.perf_counter() - started
    if not last['log_x'] > first['log_x'] or (last['image'] == first['image']).all():
        raise RuntimeError(f'Mario does not move: x {first["log_x"]}, then {last["log_x"]}')
    env.close()
    return {'x': float(last['log_x']), 'frames_per_second': 4 * played / seconds}


PROBES = {one.__name__: one for one in (modules, tensorflow, emulator)}


if __name__ == '__main__':
    print(json.dumps(PROBES[sys.argv[1]]()))
