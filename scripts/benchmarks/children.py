"""Measurements in a process of their own: own memory, own TensorFlow, own threads."""

from __future__ import annotations

import concurrent.futures
import contextlib
import multiprocessing
import os
from collections.abc import Callable
from typing import Any

from dreamerv2.run import devices


def in_child(function: Callable[..., Any], *args: Any) -> Any:
    """What `function(*args)` returns in a fresh process; what it raises is raised here.

    What it prints is dropped, so that standard output holds nothing but the report.
    """
    context = multiprocessing.get_context('spawn')
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(quietly, function, *args).result()


def quietly(function: Callable[..., Any], *args: Any) -> Any:
    """What `function(*args)` returns, without what it prints or its libraries write."""
    devices.hide_noise()
    devices.separate_stderr()
    with (
        open(os.devnull, 'w') as nowhere,
        contextlib.redirect_stdout(nowhere),
        contextlib.redirect_stderr(nowhere),
    ):
        return function(*args)
