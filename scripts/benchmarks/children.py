"""Measurements in processes of their own: own memory, own TensorFlow, own threads."""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import multiprocessing
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from multiprocessing.connection import Connection
from typing import Any

from dreamerv2 import quiet


def in_child(function: Callable[..., Any], *args: Any) -> Any:
    """What `function(*args)` returns in a fresh process; what it raises is raised here.

    What it prints is dropped, so that standard output holds nothing but the report.
    """
    context = multiprocessing.get_context('spawn')
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(quietly, function, *args).result()


@contextlib.contextmanager
def called_in_child(make: Callable[..., Callable[[], Any]], *args: Any) -> Iterator[Callable]:
    """What `make(*args)` returns, as a call that is computed in a process of its own.

    The process has made it when this is entered. What is raised there is raised here.
    """
    context = multiprocessing.get_context('spawn')
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(there, make, args), daemon=True)
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
    try:
        call = quietly(make, *args)
        connection.send((None, None))
        while connection.recv():
            connection.send((call(), None))
    except EOFError:  # Nobody asks any more.
        return
    except Exception as error:
        connection.send((None, error))


@dataclasses.dataclass(frozen=True)
class Turn:
    """What a process that measures beside others shares with who lets them take turns.

    Attributes:
        begun, ended: semaphores.
    """

    begun: Any
    ended: Any

    def take(self) -> None:
        """Waits until all others wait."""
        self.begun.acquire()

    def hand_on(self) -> None:
        """Lets the others go on."""
        self.ended.release()


def in_turn(jobs: Mapping[str, tuple[Callable[..., Any], Sequence[Any]]]) -> dict[str, Any]:
    """What functions return in processes of their own that take turns; what one raises is raised.

    Each is called with its arguments and a `Turn`. The first begins, until it hands on or ends;
    then the next one does.

    Args:
        jobs: by name a function and its arguments.
    """
    context = multiprocessing.get_context('spawn')
    with (
        context.Manager() as manager,
        concurrent.futures.ProcessPoolExecutor(len(jobs), mp_context=context) as pool,
    ):
        turns = {name: Turn(manager.Semaphore(0), manager.Semaphore(0)) for name in jobs}
        futures = {
            name: pool.submit(quietly, function, *args, turns[name])
            for name, (function, args) in jobs.items()
        }
        while waiting := [name for name, future in futures.items() if not future.done()]:
            for name in waiting:
                turns[name].begun.release()
                while not turns[name].ended.acquire(timeout=0.2) and not futures[name].done():
                    pass
        return {name: future.result() for name, future in futures.items()}


def quietly(function: Callable[..., Any], *args: Any) -> Any:
    """What `function(*args)` returns, without what it prints or its libraries write."""
    quiet.hide_noise()
    quiet.separate_stderr()
    with (
        open(os.devnull, 'w') as nowhere,
        contextlib.redirect_stdout(nowhere),
        contextlib.redirect_stderr(nowhere),
    ):
        return function(*args)
