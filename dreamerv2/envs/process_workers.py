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
import dataclasses
import logging
import multiprocessing
import pickle
import select
from collections.abc import Mapping, Sequence
from multiprocessing import resource_tracker, shared_memory, util
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from dreamerv2.envs.contract import Action, Observation
from dreamerv2.envs.worker_process import DONE, layout, serve, views
from dreamerv2.envs.workers import Maker, Workers
from dreamerv2.errors import UsageError
from dreamerv2.signals import InterruptDeferred, signals_blocked

logger = logging.getLogger(__name__)

RESTARTS = 10
_PATIENCE = 5.0  # seconds to end
_LONGEST = 120.0  # seconds for one answer
_START = 600.0  # seconds to start and to make an environment


class WorkerError(RuntimeError):
    """An environment failed in its process; `details` holds the traceback from there."""

    def __init__(self, message: str, details: str = ''):
        super().__init__(message)
        self.details = details


@dataclasses.dataclass
class _Worker:
    """A process and the parent's ends of its two pipes."""

    process: Any
    commands: Connection
    answers: Connection

    def __post_init__(self) -> None:
        # As `answers.poll`, which is slow for a call made at every step.
        self._poller = select.poll()
        self._poller.register(self.answers, select.POLLIN)

    def has_answer(self, seconds: float) -> bool:
        return bool(self._poller.poll(1000 * seconds))

    def close_pipes(self) -> None:
        self.commands.close()
        self.answers.close()


class ProcessWorkers(Workers):
    """Environments in parallel, each in its own process.

    Args:
        makers: functions that make the environments; they must be picklable.
        context: how processes start, `spawn` or `forkserver` (a plain fork copies locks held by
        other libraries' threads).
        restarts: how many workers in total may be replaced because they failed in an episode.
        longest: seconds to wait for an answer before a worker counts as hanging.

    Raises:
        UsageError: as raised by an environment.
        WorkerError: an environment failed once too often; all workers are closed then.
    """

    def __init__(
        self,
        makers: Sequence[Maker],
        context: str = 'spawn',
        restarts: int = 0,
        longest: float = _LONGEST,
    ):
        if not makers:
            raise ValueError('expected at least one environment')
        self._makers = list(makers)
        self._context: Any = multiprocessing.get_context(context)
        self._restarts, self._longest = restarts, longest
        # For each worker's episode: the state of its random numbers at the start, and its steps.
        self._starts: list[Any] = [None] * len(makers)
        self._steps = [0] * len(makers)
        self._owing: set[int] = set()  # Workers whose answer has not been read yet.
        self._workers: list[_Worker] = []
        self._memories: list[shared_memory.SharedMemory] = []
        self._arrays: list[dict[str, np.ndarray]] = []
        # Runs when the object is collected and before the interpreter joins its children.
        self._finalizer = util.Finalize(
            self, _shut_down, (self._workers, self._arrays, self._memories), exitpriority=100
        )
        try:
            self._start()
        except BaseException:
            self.close()
            raise

    def __len__(self) -> int:
        return len(self._workers)

    def reset(self, indices: Sequence[int] | None = None) -> list[Observation]:
        self._check_open()
        indices = range(len(self)) if indices is None else indices
        # After Ctrl-C between a command and its answer, the next command would get that answer.
        with InterruptDeferred():
            for index in indices:
                self._send(index, ('reset', ()))
            for index in indices:
                self._finish_reset(index)
        return [self._read(index) for index in indices]

    def begin(self, actions: Mapping[int, Action]) -> None:
        self._check_open()
        with InterruptDeferred():
            for index, action in actions.items():
                self._send(index, ('step', (action,)))

    def end(self, indices: Sequence[int]) -> list[Observation]:
        self._check_open()
        with InterruptDeferred():
            return [self._finish_step(index) for index in indices]

    def step(self, actions: Sequence[Action]) -> list[Observation]:
        self._check_open()
        with InterruptDeferred():  # Otherwise Ctrl-C could come between `begin` and `end`.
            return super().step(actions)

    def get_state(self) -> list[dict[str, Any]]:
        return self._call(range(len(self)), 'get_state', [()] * len(self))

    def set_state(self, states: Sequence[Mapping[str, Any]]) -> list[bool]:
        states = states[: len(self)]
        return self._call(range(len(states)), 'set_state', [(state,) for state in states])

    def describe(self) -> dict[str, Any]:
        return self._call([0], 'describe', [()])[0]

    def close(self) -> None:
        self._finalizer()

    def _start(self) -> None:
        # Before the workers, because starting it unblocks signals; SIGUSR1, which would kill it,
        # stays blocked in it.
        with signals_blocked():
            resource_tracker.ensure_running()
        for maker in self._makers:
            self._workers.append(self._start_process(maker))
        spaces = [self._receive(index, _START) for index in range(len(self))]
        self.obs_space, self.act_space, self.levels, self.action_repeat = spaces[0]
        for index, (obs_space, *_) in enumerate(spaces):
            memory = self._share_memory(index, obs_space)
            self._memories.append(memory)
            self._arrays.append(views(obs_space, memory.buf))

    def _start_process(self, maker: Maker) -> _Worker:
        its_commands, commands = self._context.Pipe(duplex=False)
        answers, its_answers = self._context.Pipe(duplex=False)
        arguments = (its_commands, its_answers, maker)
        process = self._context.Process(target=serve, args=arguments, daemon=True)
        with signals_blocked():
            process.start()
        its_commands.close()
        its_answers.close()
        return _Worker(process, commands, answers)

    def _share_memory(self, index: int, obs_space: Any) -> shared_memory.SharedMemory:
        memory = shared_memory.SharedMemory(create=True, size=layout(obs_space)[1])
        try:
            self._send(index, memory.name)
            self._receive(index)
        finally:
            memory.unlink()
        return memory

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
        level = self.levels[int(self._arrays[index]['level'])] if started else '?'
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
        failed = self._workers[index]
        failed.close_pipes()
        failed.process.kill()
        failed.process.join()
        failed.process.close()
        self._workers[index] = self._start_process(self._makers[index])
        self._owing.discard(index)
        obs_space, *_ = self._receive(index, _START)
        # The old memory is still there: the last observation is read from it.
        del self._arrays[index]
        self._memories[index].close()
        self._memories[index] = self._share_memory(index, obs_space)
        self._arrays.insert(index, views(obs_space, self._memories[index].buf))
        if self._starts[index] is not None:
            self._send(index, ('set_state', ({'env': self._starts[index]},)))
            self._receive(index)

    def _call(self, indices: Sequence[int], name: str, arguments: Sequence[tuple]) -> list[Any]:
        self._check_open()
        with InterruptDeferred():
            for index, values in zip(indices, arguments, strict=True):
                self._send(index, (name, values))
            try:
                return [self._receive(index) for index in indices]
            except WorkerError:
                self.close()
                raise

    def _check_open(self) -> None:
        if not self._workers:
            raise RuntimeError('the workers are closed')

    def _send(self, index: int, message: Any) -> None:
        if index in self._owing:  # Its answer would be mistaken for the one to this message.
            raise RuntimeError(f'environment worker {index} has started a step: call end() first')
        # A worker that failed has closed its end; its last message is read instead of an answer.
        with contextlib.suppress(BrokenPipeError):
            self._workers[index].commands.send_bytes(pickle.dumps(message))
        self._owing.add(index)

    def _receive(self, index: int, longest: float = 0.0) -> Any:
        """A worker's answer. Raises WorkerError when it failed, UsageError when the user did."""
        worker = self._workers[index]
        try:
            if not worker.has_answer(longest or self._longest):
                raise WorkerError(
                    f'environment worker {index} gave no answer for {longest or self._longest:g} s'
                )
            answer = worker.answers.recv_bytes()
            self._owing.discard(index)
        except EOFError:
            worker.process.join(_PATIENCE)
            code = worker.process.exitcode
            raise WorkerError(
                f'environment worker {index} ended unexpectedly (exit code {code})'
            ) from None
        if answer == DONE:
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
        # Indexing with () turns arrays without axes into NumPy scalars, as environments return
        # them.
        return {key: array.copy()[()] for key, array in self._arrays[index].items()}


def _shut_down(workers: list[_Worker], arrays: list, memories: list) -> None:
    for worker in workers:
        with contextlib.suppress(OSError):
            worker.commands.send(('close', ()))
        worker.close_pipes()
    for worker in workers:
        worker.process.join(_PATIENCE)
        if worker.process.is_alive():
            worker.process.kill()
            worker.process.join()
        worker.process.close()
    workers.clear()
    arrays.clear()
    for memory in memories:
        memory.close()
    memories.clear()
