"""Which kernels compute an agent."""

from __future__ import annotations

from dreamerv2.nets.cpu import CpuKernels
from dreamerv2.nets.kernels import PLAIN, Kernels


def make_kernels(name: str, branches: int = 1) -> Kernels:
    """Kernels by their configuration name: `plain` or `cpu`.

    `branches` says into how many shards the latter split large batches.
    """
    return {'plain': PLAIN, 'cpu': CpuKernels(branches=branches)}[name]
