"""One process for each environment; observations come back through shared memory.

A worker first makes its environment and reports its spaces; the parent then creates shared memory
of that size and tells the worker its name. Once the worker has opened it the name is removed, so
that nothing is left behind however the processes end. After that commands go through one pipe and
short answers come back through another; only observations go through shared memory. There are two
pipes because with a bidirectional one, a socket pair, Linux often wakes the writer when its answer
is read.

A worker that raises, dies or hangs can be replaced; its episode ends as by a time limit.
"""

import contextlib
import logging
import multiprocessing
import pickle
import select
import signal
import traceback
from collections.abc import Mapping, Sequence
from multiprocessing import resource_tracker, shared_memory, util
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from dreamerv2.envs.contract import Action, Observation
from dreamerv2.envs.episodic import ResumableEnv
from dreamerv2.envs.workers import Maker, Workers
from dreamerv2.errors import UsageError
from dreamerv2.signals import STOP_SIGNALS, InterruptDeferred, signals_blocked

logger = logging.getLogger(__name__)

_PATIENCE = 5.0  # seconds to end
_START = 600.0  # seconds to start and to make an environment
_ALIGNMENT = 64  # bytes
_DONE = b''  # The answer of calls without a result; all others are pickled.
# A plain fork would copy locks that other libraries' threads hold.
_CONTEXT = multiprocessing.get_context('spawn')


class WorkerError(RuntimeError):
    """An environment failed in its process; `details` holds the traceback from there."""

    def __init__(self, message: str, details: str = ''):
        super().__init__(message)
        self.details = details


def layout(obs_space: Mapping[str, Any]) -> tuple[dict[str, int], int]:
    """Where the entries of an observation lie in a block of memory.

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


def serve(commands: Connection, answers: Connection, maker: Maker) -> None:
    """Answers commands until told to close, or until the parent is gone.

    Args:
        commands: gives pairs of a method's name and its arguments.
        answers: takes `_DONE`, or a pickled pair: whether the method succeeded, and its result, or
            the error's name, text and traceback.
        maker: makes the environment.
    """
    # The parent decides when to end, but Ctrl-C and a batch system's signals reach all processes.
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    env = memory = None
    arrays: dict[str, np.ndarray] = {}
    try:
        env = ResumableEnv(maker())
        answers.send((True, (env.obs_space, env.act_space, env.levels, env.action_repeat)))
        memory = shared_memory.SharedMemory(commands.recv())
        arrays = views(env.obs_space, memory.buf)
        answers.send_bytes(_DONE)
        while True:
            name, arguments = commands.recv()
            if name == 'close':
                break
            result = getattr(env, name)(*arguments)
            if name in ('reset', 'step'):
                for key, array in arrays.items():
                    array[...] = result[key]
                # From where another process could restart this episode.
                result = env.start if name == 'reset' else None
            answers.send_bytes(_DONE if result is None else pickle.dumps((True, result)))
    except (EOFError, BrokenPipeError):
        pass  # the parent is gone
    except BaseException as error:
        with contextlib.suppress(OSError):
            text = str(error) or type(error).__name__
            answers.send((False, (type(error).__name__, text, traceback.format_exc())))
    finally:
        if env is not None:
            env.close()
        arrays.clear()  # the memory cannot be closed while arrays use it
        if memory is not None:
            memory.close()
        commands.close()
        answers.close()


class _Worker:
    """A process, the parent's ends of its two pipes, and the memory of its observations."""

    def __init__(self, maker: Maker):
        its_commands, self.commands = _CONTEXT.Pipe(duplex=False)
        self.answers, its_answers = _CONTEXT.Pipe(duplex=False)
        arguments = (its_commands, its_answers, maker)
        self.process = _CONTEXT.Process(target=serve, args=arguments, daemon=True)
        with signals_blocked():
            self.process.start()
        its_commands.close()
        its_answers.close()
        # As `answers.poll`, which is slow for a call made at every step.
        self._poller = select.poll()
        self._poller.register(self.answers, select.POLLIN)
        self.memory: shared_memory.SharedMemory | None = None
        self.arrays: dict[str, np.ndarray] = {}

    def has_answer(self, seconds: float) -> bool:
        return bool(self._poller.poll(1000 * seconds))

    def close_pipes(self) -> None:
        self.commands.close()
        self.answers.close()

    def end(self, patience: float) -> None:
        """Ends the process, by force after some seconds, and frees the memory."""
        self.process.join(patience)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        self.process.close()
        self.arrays.clear()  # the memory cannot be closed while arrays use it
        if self.memory is not None:
            self.memory.close()


class ProcessWorkers(Workers):
    """Environments in parallel, each in its own process.

    Args:
        makers: functions that make the environments; they must be picklable.
        restarts: how many workers in total may be replaced because they failed in an episode.
        longest: seconds to wait for an answer before a worker counts as hanging.

    Raises:
        UsageError: as raised by an environment.
        WorkerError: an environment failed once too often; all workers are closed then.
    """

    def __init__(self, makers: Sequence[Maker], restarts: int = 0, longest: float = 120.0):
        self._makers = list(makers)
        self._restarts, self._longest = restarts, longest
        # For each worker's episode: the state of its random numbers at the start, and its steps.
        self._starts: list[Any] = [None] * len(makers)
        self._steps = [0] * len(makers)
        self._owing: set[int] = set()  # Workers whose answer has not been read yet.
        self._workers: list[_Worker] = []
        # Runs when the object is collected and before the interpreter joins its children.
        self._finalizer = util.Finalize(self, _shut_down, (self._workers,), exitpriority=100)
        try:
            # Before the workers, because starting it unblocks signals; SIGUSR1, which would kill
            # it, stays blocked in it.
            with signals_blocked():
                resource_tracker.ensure_running()
            for maker in makers:
                self._workers.append(_Worker(maker))
            made = [self._share_memory(index) for index in range(len(self))]
        except BaseException:
            self.close()
            raise
        self.obs_space, self.act_space, self.levels, self.action_repeat = made[0]

    def __len__(self) -> int:
        return len(self._makers)

    def reset(self, indices: Sequence[int] | None = None) -> list[Observation]:
        indices = range(len(self)) if indices is None else indices
        # After Ctrl-C between a command and its answer, the next command would get that answer.
        with InterruptDeferred():
            for index in indices:
                self._send(index, ('reset', ()))
            for index in indices:
                self._finish_reset(index)
        return [self._read(index) for index in indices]

    def begin(self, actions: Mapping[int, Action]) -> None:
        with InterruptDeferred():
            for index, action in actions.items():
                self._send(index, ('step', (action,)))

    def end(self, indices: Sequence[int]) -> list[Observation]:
        with InterruptDeferred():
            return [self._finish_step(index) for index in indices]

    def step(self, actions: Sequence[Action]) -> list[Observation]:
        with InterruptDeferred():  # Otherwise Ctrl-C could come between `begin` and `end`.
            return super().step(actions)

    def get_state(self) -> list[dict[str, Any]]:
        return self._call('get_state', [()] * len(self))

    def set_state(self, states: Sequence[Mapping[str, Any]]) -> list[bool]:
        return self._call('set_state', [(state,) for state in states[: len(self)]])

    def describe(self) -> dict[str, Any]:
        return self._call('describe', [()])[0]

    def close(self) -> None:
        self._finalizer()

    def _share_memory(self, index: int) -> tuple:
        """Shares memory with a worker once it has made its environment; returns its spaces."""
        spaces = self._receive(index, _START)
        worker = self._workers[index]
        worker.memory = shared_memory.SharedMemory(create=True, size=layout(spaces[0])[1])
        try:
            self._send(index, worker.memory.name)
            self._receive(index)
        finally:
            worker.memory.unlink()
        worker.arrays = views(spaces[0], worker.memory.buf)
        return spaces

    def _finish_reset(self, index: int) -> None:
        """Waits for a reset; if the worker fails, a new one makes it."""
        while True:
            try:
                self._starts[index] = self._receive(index)
                self._steps[index] = 0
                return
            except WorkerError as error:
                self._replace(index, error)
                self._send(index, ('reset', ()))

    def _finish_step(self, index: int) -> Observation:
        """The observation after a step; if the worker fails, one that cuts the episode off."""
        try:
            self._receive(index)
            self._steps[index] += 1
            return self._read(index)
        except WorkerError as error:
            latest = self._read(index)
            self._replace(index, error)
        false, true = np.bool_(False), np.bool_(True)
        flags = {'is_first': false, 'is_last': true, 'is_terminal': false}
        return {**latest, **flags, 'reward': np.float32(0)}

    def _replace(self, index: int, error: WorkerError) -> None:
        """Replaces a worker that failed, or raises its error."""
        started = self._starts[index] is not None
        level = self.levels[int(self._workers[index].arrays['level'])] if started else '?'
        place = f'level {level}, {self._steps[index]} steps into an episode'
        if not self._restarts:
            self.close()
            raise WorkerError(f'{error} ({place})', error.details) from None
        self._restarts -= 1
        logger.warning(
            '%s (%s). The episode ends there as by a time limit; another worker takes over, which '
            'may happen %d more times. What was random in the episode: %s\n%s',
            error, place, self._restarts, self._starts[index], error.details,
        )  # fmt: skip
        self._workers[index].close_pipes()
        self._workers[index].end(0)
        self._workers[index] = _Worker(self._makers[index])
        self._owing.discard(index)
        self._share_memory(index)
        if started:
            self._send(index, ('set_state', ({'env': self._starts[index]},)))
            self._receive(index)

    def _call(self, name: str, arguments: Sequence[tuple]) -> list[Any]:
        """Calls a method of the first environments, each with its arguments."""
        with InterruptDeferred():
            for index, values in enumerate(arguments):
                self._send(index, (name, values))
            try:
                return [self._receive(index) for index in range(len(arguments))]
            except WorkerError:
                self.close()
                raise

    def _worker(self, index: int) -> _Worker:
        if not self._workers:
            raise RuntimeError('the workers are closed')
        return self._workers[index]

    def _send(self, index: int, message: Any) -> None:
        worker = self._worker(index)
        if index in self._owing:  # Its answer would be mistaken for the one to this message.
            raise RuntimeError(f'environment worker {index} has started a step: call end() first')
        # A worker that failed has closed its end; its last message is read instead of an answer.
        with contextlib.suppress(BrokenPipeError):
            worker.commands.send_bytes(pickle.dumps(message))
        self._owing.add(index)

    def _receive(self, index: int, longest: float | None = None) -> Any:
        """A worker's answer. Raises WorkerError when it failed, UsageError when the user did."""
        worker = self._worker(index)
        longest = longest or self._longest
        try:
            if not worker.has_answer(longest):
                raise WorkerError(f'environment worker {index} gave no answer for {longest:g} s')
            answer = worker.answers.recv_bytes()
            self._owing.discard(index)
        except EOFError:
            worker.process.join(_PATIENCE)
            code = worker.process.exitcode
            raise WorkerError(
                f'environment worker {index} ended unexpectedly (exit code {code})'
            ) from None
        if answer == _DONE:
            return None
        succeeded, result = pickle.loads(answer)
        if succeeded:
            return result
        name, text, details = result
        if name == UsageError.__name__:
            self.close()
            raise UsageError(text)
        raise WorkerError(f'environment worker {index} failed: {name}: {text}', details)

    def _read(self, index: int) -> Observation:
        # Indexing with () makes NumPy scalars of arrays without axes, as environments return them.
        return {key: array.copy()[()] for key, array in self._workers[index].arrays.items()}


def _shut_down(workers: list[_Worker]) -> None:
    for worker in workers:
        with contextlib.suppress(OSError):
            worker.commands.send(('close', ()))
        worker.close_pipes()
    for worker in workers:
        worker.end(_PATIENCE)
    workers.clear()
