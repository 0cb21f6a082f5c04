"""Kernels that are fast on CPUs, with the same results as the plain formulas."""

from dreamerv2.nets.cpu.kernels import CpuKernels
from dreamerv2.nets.layers import PLAIN, Kernels

__all__ = ['CpuKernels', 'make_kernels']


def make_kernels(name: str, branches: int = 1) -> Kernels:
    """Kernels by their configuration name: `plain` or `cpu`.

    `branches` says into how many shards the latter split large batches.
    """
    return {'plain': PLAIN, 'cpu': CpuKernels(branches=branches)}[name]
