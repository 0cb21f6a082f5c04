"""What the figures were measured on."""

from __future__ import annotations

import os
import platform
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from dreamerv2.cores import usable_cores
from dreamerv2.run import devices
from dreamerv2.run.logdir.provenance import git_revision, package_versions, processor

PACKAGES = ('tensorflow', 'numpy', 'nes-py')


def describe() -> dict[str, Any]:
    """Processor, cores, GPU, versions, revision and how busy the machine is, ready for JSON."""
    return {
        'processor': with_instructions(processor(), devices.cpu_flags()),
        'cores': usable_cores(),
        'gpu': gpu_name(),
        'load': busy_cores(),
        'versions': {'Python': platform.python_version(), **package_versions(PACKAGES)},
        'revision': git_revision(Path(__file__).resolve().parent),
    }


def with_instructions(name: str, flags: set[str]) -> str:
    """A processor's name and what it computes matrices with, by the names in `/proc/cpuinfo`.

    Processors of one name have them or not, as whoever rents them out has decided.
    """
    known = {'amx_bf16': 'AMX', 'avx512_bf16': 'AVX-512 and bfloat16', 'avx512f': 'AVX-512'}
    return next((f'{name} with {units}' for flag, units in known.items() if flag in flags), name)


def busy_cores(seconds: float = 1.0) -> float:
    """How many cores other programs keep busy, watched while this one sleeps.

    Unlike the load average it forgets at once what ran before.
    """
    try:
        first = _processor_times()
        time.sleep(seconds)
        second = _processor_times()
    except (OSError, ValueError):
        return os.getloadavg()[0]
    passed = [after - before for before, after in zip(first, second, strict=True)]
    waiting = passed[3] + passed[4]  # Idle, and idle until some input comes.
    return (os.cpu_count() or 1) * (1 - waiting / max(1, sum(passed)))


def _processor_times() -> list[int]:
    """Ticks that all cores together spent in each state so far."""
    with open('/proc/stat', encoding='ascii') as file:
        # Of the states after these eight, guests' time is counted in the first two already.
        return [int(word) for word in file.readline().split()[1:9]]


def gpu_name() -> str | None:
    """Name of the first NVIDIA card, by its driver; TensorFlow need not be imported."""
    try:
        result = subprocess.run(
            ['nvidia-smi', '--query-gpu=name', '--format=csv,noheader'],
            capture_output=True,
            text=True,
            timeout=20,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return (result.stdout.splitlines() or [''])[0].strip() or None


def peak_host_bytes() -> int:
    """Largest memory of this process so far (resident set)."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == 'darwin' else peak * 1024


def peak_device_bytes() -> int | None:
    """Largest memory of this process on the first GPU so far; None without one."""
    import tensorflow as tf

    if not tf.config.list_logical_devices('GPU'):
        return None
    return int(tf.config.experimental.get_memory_info('GPU:0')['peak'])
