"""One process for each environment; observations come back through shared memory.

A worker first makes its environment and tells its spaces; the parent then makes a block of shared
memory of that size and names it to the worker. Once the worker has opened it the name is removed
again, so that nothing is left behind however the processes end. After that a command goes down the
worker's pipe and a short answer comes back up; only observations take the shared way.
"""

import contextlib
import multiprocessing
import signal
import threading
import traceback
from collections.abc import Iterator, Mapping, Sequence
from multiprocessing import resource_tracker, shared_memory, util
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from dreamerv2.envs.contract import Action, Observation
from dreamerv2.envs.resumable import ResumableEnv
from dreamerv2.envs.workers import Maker, Workers
from dreamerv2.errors import UsageError

_ALIGNMENT = 64
_PATIENCE = 5.0


class WorkerError(RuntimeError):
    """An environment failed in its process; `details` holds the traceback from there."""

    def __init__(self, message: str, details: str = ''):
        super().__init__(message)
        self.details = details


def layout(obs_space: Mapping[str, Any]) -> tuple[dict[str, int], int]:
    """Where each entry of an observation lies in its block of memory.

    Args:
        obs_space: name -> space.

    Returns:
        name -> offset in bytes, aligned; and the size of the block.
    """
    offsets, end = {}, 0
    for key, space in obs_space.items():
        offsets[key] = end
        size = int(np.prod(space.shape, dtype=np.int64)) * np.dtype(space.dtype).itemsize
        end += -(-size // _ALIGNMENT) * _ALIGNMENT
    return offsets, end


def views(obs_space: Mapping[str, Any], buffer: Any) -> dict[str, np.ndarray]:
    """Arrays over a block of memory, one for each entry of an observation."""
    offsets, _ = layout(obs_space)
    return {
        key: np.ndarray(space.shape, space.dtype, buffer, offsets[key])
        for key, space in obs_space.items()
    }


def serve(connection: Connection, maker: Maker) -> None:
    """What a worker does: answers commands until told to close, or until the parent is gone."""
    # The parent decides when to end: Ctrl-C and a batch system's signal reach all processes.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    env = memory = None
    arrays: dict[str, np.ndarray] = {}
    try:
        env = ResumableEnv(maker())
        connection.send((True, (env.obs_space, env.act_space, env.levels, env.action_repeat)))
        memory = shared_memory.SharedMemory(connection.recv())
        arrays = views(env.obs_space, memory.buf)
        connection.send((True, None))
        while True:
            name, arguments = connection.recv()
            if name == 'close':
                break
            result = getattr(env, name)(*arguments)
            if name in ('reset', 'step'):
                for key, array in arrays.items():
                    array[...] = result[key]
                result = None
            connection.send((True, result))
    except (EOFError, BrokenPipeError):
        pass  # the parent is gone
    except BaseException as error:
        with contextlib.suppress(OSError):
            text = str(error) or type(error).__name__
            connection.send((False, (type(error).__name__, text, traceback.format_exc())))
    finally:
        if env is not None:
            env.close()
        arrays.clear()  # the memory cannot be closed while arrays lie in it
        if memory is not None:
            memory.close()
        connection.close()


class ProcessWorkers(Workers):
    """Environments side by side, each in a process of its own.

    Args:
        makers: functions that make the environments; they must be picklable.
        context: how processes start, `spawn` or `forkserver` (a plain fork copies locks that other
            libraries' threads may hold).

    Raises:
        UsageError: as raised while an environment was made.
        WorkerError: an environment failed; all workers are closed then.
    """

    def __init__(self, makers: Sequence[Maker], context: str = 'spawn'):
        if not makers:
            raise ValueError('expected at least one environment')
        self._workers: list[tuple[Any, Connection]] = []
        self._memories: list[shared_memory.SharedMemory] = []
        self._arrays: list[dict[str, np.ndarray]] = []
        # Runs when the object is forgotten and before the interpreter joins its children.
        self._finalizer = util.Finalize(
            self, _shut_down, (self._workers, self._arrays, self._memories), exitpriority=100
        )
        try:
            self._start(makers, multiprocessing.get_context(context))
        except BaseException:
            self.close()
            raise

    def __len__(self) -> int:
        return len(self._workers)

    def reset(self, indices: Sequence[int] | None = None) -> list[Observation]:
        indices = range(len(self)) if indices is None else indices
        self._call(indices, 'reset', [()] * len(indices))
        return [self._read(index) for index in indices]

    def step(self, actions: Sequence[Action]) -> list[Observation]:
        self._check_open()
        self.check_count(actions)
        indices = range(len(self))
        self._call(indices, 'step', [(action,) for action in actions])
        return [self._read(index) for index in indices]

    def get_state(self) -> list[dict[str, Any]]:
        return self._call(range(len(self)), 'get_state', [()] * len(self))

    def set_state(self, states: Sequence[Mapping[str, Any]]) -> list[bool]:
        states = states[: len(self)]
        return self._call(range(len(states)), 'set_state', [(state,) for state in states])

    def describe(self) -> dict[str, Any]:
        return self._call([0], 'describe', [()])[0]

    def close(self) -> None:
        self._finalizer()

    def _start(self, makers: Sequence[Maker], context: Any) -> None:
        resource_tracker.ensure_running()  # it would unblock the signals below when it starts
        for maker in makers:
            ours, theirs = context.Pipe()
            process = context.Process(target=serve, args=(theirs, maker), daemon=True)
            with _signals_blocked():
                process.start()
            self._workers.append((process, ours))
            theirs.close()
        spaces = [self._receive(index) for index in range(len(self))]
        self.obs_space, self.act_space, self.levels, self.action_repeat = spaces[0]
        for index, (obs_space, *_) in enumerate(spaces):
            memory = shared_memory.SharedMemory(create=True, size=layout(obs_space)[1])
            self._memories.append(memory)
            try:
                self._send(index, memory.name)
                self._receive(index)
            finally:
                memory.unlink()
            self._arrays.append(views(obs_space, memory.buf))

    def _call(self, indices: Sequence[int], name: str, arguments: Sequence[tuple]) -> list[Any]:
        self._check_open()
        with _interrupt_deferred():
            for index, values in zip(indices, arguments, strict=True):
                self._send(index, (name, values))
            return [self._receive(index) for index in indices]

    def _check_open(self) -> None:
        if not self._workers:
            raise RuntimeError('the workers are closed')

    def _send(self, index: int, message: Any) -> None:
        # A worker that failed has closed its end; its last words are read instead of an answer.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._workers[index][1].send(message)

    def _receive(self, index: int) -> Any:
        process, connection = self._workers[index]
        try:
            succeeded, result = connection.recv()
        except (EOFError, ConnectionResetError):
            process.join(_PATIENCE)
            code = process.exitcode
            self.close()
            raise WorkerError(
                f'environment worker {index} ended unexpectedly (exit code {code})'
            ) from None
        if succeeded:
            return result
        self.close()
        name, text, details = result
        if name == UsageError.__name__:
            raise UsageError(text)
        raise WorkerError(f'environment worker {index} failed: {name}: {text}', details)

    def _read(self, index: int) -> Observation:
        # Indexing with () makes numpy scalars of arrays without axes, as environments give them.
        return {key: array.copy()[()] for key, array in self._arrays[index].items()}


@contextlib.contextmanager
def _signals_blocked() -> Iterator[None]:
    """Children started inside never see these signals, not even before they ignore them."""
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


@contextlib.contextmanager
def _interrupt_deferred() -> Iterator[None]:
    """Ctrl-C raises KeyboardInterrupt at the end, not between a command and its answer.

    Otherwise the next command would get this one's answer. Pressed twice it raises at once, in case
    an environment hangs. Only Python's own handler raises, and only in the main thread; a program's
    own handler is left in place.
    """
    in_main = threading.current_thread() is threading.main_thread()
    if not in_main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    pressed: list[int] = []

    def note(number: int, frame: Any) -> None:
        if pressed:
            signal.default_int_handler(number, frame)
        pressed.append(number)

    signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if pressed:
            raise KeyboardInterrupt


def _shut_down(workers: list, arrays: list, memories: list) -> None:
    for _, connection in workers:
        with contextlib.suppress(OSError):
            connection.send(('close', ()))
        connection.close()
    for process, _ in workers:
        process.join(_PATIENCE)
        if process.is_alive():
            process.kill()
            process.join()
        process.close()
    workers.clear()
    arrays.clear()
    for memory in memories:
        memory.close()
    memories.clear()
