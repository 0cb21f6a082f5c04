"""Several environments stepped together, in this process: one after another or in threads."""

import abc
import concurrent.futures
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dreamerv2.envs.contract import Action, Environment, Observation
from dreamerv2.envs.episodic import ResumableEnv

Maker = Callable[[], Environment]


class Workers(abc.ABC):
    """A fixed number of environments with the same spaces.

    Attributes:
        obs_space, act_space, levels, action_repeat: those of each environment.
    """

    obs_space: dict[str, Any]
    act_space: Any
    levels: list[str]
    action_repeat: int

    @abc.abstractmethod
    def __len__(self) -> int:
        """Number of environments."""

    @abc.abstractmethod
    def reset(self, indices: Sequence[int] | None = None) -> list[Observation]:
        """First observations of the environments named by index; None: of all of them."""

    @abc.abstractmethod
    def begin(self, actions: Mapping[int, Action]) -> None:
        """Start a step in the environments named by index.

        `end` must follow for each of them before any other call.
        """

    @abc.abstractmethod
    def end(self, indices: Sequence[int]) -> list[Observation]:
        """Observations after the steps started in these environments."""

    def step(self, actions: Sequence[Action]) -> list[Observation]:
        """One action for each environment, one observation from each."""
        if len(actions) != len(self):
            raise ValueError(f'{len(actions)} actions for {len(self)} environments')
        self.begin(dict(enumerate(actions)))
        return self.end(range(len(self)))

    @abc.abstractmethod
    def get_state(self) -> list[dict[str, Any]]:
        """Each environment's random numbers and unfinished episode; see `ResumableEnv`."""

    @abc.abstractmethod
    def set_state(self, states: Sequence[Mapping[str, Any]]) -> list[bool]:
        """Restore what `get_state` returned; environments beyond its length keep their own state.

        Returns:
            For each environment with a state whether its episode is running; if not, reset it.
        """

    @abc.abstractmethod
    def describe(self) -> dict[str, Any]:
        """Description of the first environment."""

    @abc.abstractmethod
    def close(self) -> None:
        """Close all environments. Calling it again does nothing."""


class InProcess(Workers):
    """Environments one after another in this process."""

    def __init__(self, makers: Sequence[Maker]):
        if not makers:
            raise ValueError('expected at least one environment')
        self._envs = [ResumableEnv(maker()) for maker in makers]
        self._results: dict[int, Callable[[], Observation]] = {}
        first = self._envs[0]
        self.obs_space, self.act_space = first.obs_space, first.act_space
        self.levels, self.action_repeat = first.levels, first.action_repeat

    def __len__(self) -> int:
        return len(self._envs)

    def reset(self, indices: Sequence[int] | None = None) -> list[Observation]:
        indices = range(len(self)) if indices is None else indices
        results = [self._start(self._envs[index].reset) for index in indices]
        return [result() for result in results]

    def begin(self, actions: Mapping[int, Action]) -> None:
        for index, action in actions.items():
            self._results[index] = self._start(self._envs[index].step, action)

    def end(self, indices: Sequence[int]) -> list[Observation]:
        return [self._results.pop(index)() for index in indices]

    def get_state(self) -> list[dict[str, Any]]:
        return [env.get_state() for env in self._envs]

    def set_state(self, states: Sequence[Mapping[str, Any]]) -> list[bool]:
        return [env.set_state(state) for env, state in zip(self._envs, states, strict=False)]

    def describe(self) -> dict[str, Any]:
        return self._envs[0].describe()

    def close(self) -> None:
        for env in self._envs:
            env.close()

    def _start(self, method: Callable, *arguments: Any) -> Callable[[], Observation]:
        """A function that gives the method's result: here by calling it only then."""
        return functools.partial(method, *arguments)


class ThreadWorkers(InProcess):
    """Environments in parallel threads, useful where stepping releases the GIL.

    nes-py and ale-py release it while they emulate a frame. Not for environments that share state.
    """

    def __init__(self, makers: Sequence[Maker]):
        super().__init__(makers)
        self._pool = concurrent.futures.ThreadPoolExecutor(len(self), 'environment')

    def close(self) -> None:
        self._pool.shutdown()
        super().close()

    def _start(self, method: Callable, *arguments: Any) -> Callable[[], Observation]:
        return self._pool.submit(method, *arguments).result
