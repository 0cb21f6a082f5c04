"""Checks memory and disk headroom for the rest of a run."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Mapping
from pathlib import Path

GIGABYTE = 1e9
CHECKPOINTS = 3  # Two are kept while another is written.


def available_memory(root: Path = Path('/')) -> float | None:
    """Bytes of memory that are available within the control group's limit; None where unknown.

    `root` is where `proc` and `sys` are.
    """
    limits = []
    with contextlib.suppress(OSError, ValueError):  # No such file, or no limit (`max`).
        if found := re.search(r'MemAvailable:\s*(\d+) kB', (root / 'proc/meminfo').read_text()):
            limits.append(int(found[1]) * 1024.0)
        group = root / 'sys/fs/cgroup'
        limit, used = (float((group / f'memory.{name}').read_text()) for name in ('max', 'current'))
        limits.append(limit - used)
    return min(limits, default=None)


def folder_size(folder: Path) -> int:
    """Bytes of the files in a folder; 0 where there is none."""
    try:
        with os.scandir(folder) as entries:
            return sum(entry.stat().st_size for entry in entries if entry.is_file())
    except FileNotFoundError:
        return 0


def shortages(
    *,
    steps: int,
    stats: Mapping[str, float],
    on_disk: int,
    capacity: int,
    keep_on_disk: bool,
    checkpoint: int,
    free_memory: float | None,
    free_disk: float,
) -> list[str]:
    """What will not be enough, one line each, extrapolated from the steps so far.

    Args:
        steps: remaining agent steps.
        stats: of the replay.
        on_disk: bytes of its files.
        capacity: of the replay in steps, 0 for no limit.
        keep_on_disk: whether the files of episodes dropped from memory are kept.
        checkpoint: bytes of the agent's arrays.
        free_memory, free_disk: bytes; None where unknown.
    """
    stored = max(1.0, stats['loaded_steps'])
    growth = min(steps, max(0.0, capacity - stored)) if capacity else steps
    memory = growth * stats['bytes'] / stored
    disk = (steps if keep_on_disk else growth) * on_disk / stored + CHECKPOINTS * checkpoint
    found = []
    if free_memory is not None and memory > free_memory:
        found.append(
            f'Memory may run out: the replay will grow by about {memory / GIGABYTE:.1f} GB, '
            f'{free_memory / GIGABYTE:.1f} GB are free. Lower replay.capacity ({capacity:,} now).'
        )
    if disk > free_disk:
        found.append(
            f'The disk may run full: episodes and checkpoints will take about '
            f'{disk / GIGABYTE:.1f} GB more, {free_disk / GIGABYTE:.1f} GB are free. Make room, '
            'or lower replay.capacity or steps.'
        )
    return found
