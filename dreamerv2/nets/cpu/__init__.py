"""The kernels that are fast on processors: the same results as the plain formulas give."""

from dreamerv2.nets.cpu.kernels import CpuKernels

__all__ = ['CpuKernels']
