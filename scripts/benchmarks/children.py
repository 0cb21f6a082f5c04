"""Measurements in processes of their own: own memory, own TensorFlow, own threads."""

from __future__ import annotations

import contextlib
import functools
import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from typing import Any

from dreamerv2 import quiet


def in_child(function: Callable[..., Any], *args: Any) -> Any:
    """What `function(*args)` returns in a fresh process; what it raises is raised here.

    What it prints is dropped, so that standard output holds nothing but the report.
    """
    with called_in_child(functools.partial, quietly, function, *args) as call:
        return call()


@contextlib.contextmanager
def called_in_child(make: Callable[..., Callable[[], Any]], *args: Any) -> Iterator[Callable]:
    """What `make(*args)` returns, as a call that is computed in a process of its own.

    The process has made it when this is entered. What is raised there is raised here. It ends when
    this process does, even if that is killed.
    """
    context = multiprocessing.get_context('spawn')
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(there, make, args))
    process.start()
    there.close()  # So that the end of the process is the end of what it sends.

    def receive() -> Any:
        result, error = here.recv()
        if error is not None:
            raise error
        return result

    def call() -> Any:
        here.send(True)
        return receive()

    try:
        receive()
        yield call
    finally:
        here.close()
        process.join()


def _serve(connection: Connection, make: Callable[..., Callable[[], Any]], args: tuple) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        call = quietly(make, *args)
        connection.send((None, None))
        while connection.recv():
            connection.send((call(), None))
    except EOFError:  # Nobody asks any more.
        return
    except Exception as error:
        connection.send((None, error))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def quietly(function: Callable[..., Any], *args: Any) -> Any:
    """What `function(*args)` returns, without what it prints or its libraries write."""
    quiet.prepare_tensorflow()
    quiet.separate_stderr()
    with (
        open(os.devnull, 'w') as nowhere,
        contextlib.redirect_stdout(nowhere),
        contextlib.redirect_stderr(nowhere),
    ):
        return function(*args)
