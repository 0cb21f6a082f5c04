"""Kernels that are fast on CPUs, with the same results as the plain formulas."""

from dreamerv2.nets.cpu.kernels import CpuKernels

__all__ = ['CpuKernels']
