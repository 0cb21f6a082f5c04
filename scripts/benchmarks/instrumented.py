"""A real training run in a temporary logdir, with a clock on each of its parts."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

from dreamerv2.config import Config, load_config
from dreamerv2.run import batches, build, devices, updater
from dreamerv2.run.build import Parts, default_parts

from . import subject
from .children import Turn
from .timing import Clock, Timed

NEVER = 10**9
PARTS = ('emulator', 'policy', 'learner', 'replay')


def stop_run() -> None:
    """Asks the run of this process to save and end, as a batch system does."""
    os.kill(os.getpid(), signal.SIGTERM)


class _WatchedAgent(Timed):
    """The agent with a clock; tells of each call of the policy in training, before it.

    Args:
        wait: whether to wait for each update, so that a GPU's time counts as the learner's.
    """

    def __init__(self, agent: Any, clock: Clock, on_act: Callable[[int], Any], wait: bool) -> None:
        super().__init__(agent, clock, {})
        self._on_act = on_act
        self._wait = wait
        self._acted = 0
        self._policy = clock.timed('policy', agent.policy)
        self.train = clock.timed('busy', clock.timed('update', self._train))
        self.train_ahead = clock.timed('busy', clock.timed('update', agent.train_ahead))
        # What completes the last update that was made ahead is no update more; the loop waits.
        self.finish = clock.timed('learner', clock.timed('busy', agent.finish))

    def policy(self, obs: Any, state: Any = None, mode: str = 'train') -> Any:
        self._on_act(self._acted)
        self._acted += len(obs['is_first'])
        return self._policy(obs, state, mode=mode)

    def _train(self, *args: Any, **kwargs: Any) -> Any:
        state, metrics = self._target.train(*args, **kwargs)
        if self._wait:
            float(metrics['model_loss'])
        return state, metrics


def run_instrumented(
    config: Config,
    clock: Clock,
    on_act: Callable[[int], Any],
    *,
    wait: bool = False,
    save_every: int = 0,
) -> devices.Device:
    """Trains until `on_act` calls `stop_run`; needs the process's main thread.

    The clock's parts are `emulator`, `policy`, `replay`, `busy` (the learner computes), `update`
    (the calls in which it begins an update) and, where it does so in a thread of its own, `learner`
    (the loop waits for it).

    Args:
        config: without logdir and length, which are set here; there is no evaluation.
        clock: where the times go.
        on_act: called before each call of the policy with the agent steps made since the prefill.
        wait: whether to wait for each update.
        save_every: agent steps between checkpoints; 0 for none but the last.

    Returns:
        What the agent computed on.
    """
    from dreamerv2.run.training import train

    used: list[devices.Device] = []
    make_replay = build.build_replay

    def parts(say: Callable[[str], Any]) -> Parts:
        made = default_parts(config, say)

        def agent(obs_space: Any, act_space: Any) -> tuple[Any, devices.Device]:
            plain, device = made.agent(obs_space, act_space)
            used.append(device)
            return _WatchedAgent(plain, clock, on_act, wait), device

        def envs() -> Any:
            return Timed(made.envs(), clock, dict.fromkeys(['begin', 'end', 'reset'], 'emulator'))

        return dataclasses.replace(made, agent=agent, envs=envs)

    with tempfile.TemporaryDirectory() as folder:
        config = config.update({
            'logdir': folder, 'steps': NEVER, 'eval_every': 0, 'save_every': save_every,
        })  # fmt: skip
        timed_replay = mock.patch.object(
            build,
            'build_replay',
            lambda *args, **kwargs: Timed(
                make_replay(*args, **kwargs), clock, {'add_step': 'replay'}
            ),
        )
        take = clock.timed('replay', batches.Batches.take)
        timed_take = mock.patch.object(batches.Batches, 'take', lambda self: take(self))
        end = clock.timed('learner', updater.Beside._end)
        timed_wait = mock.patch.object(updater.Beside, '_end', lambda self, last: end(self, last))
        with timed_replay, timed_take, timed_wait:
            train(config, parts, command=['bench.py'])
    return used[0]


@contextlib.contextmanager
def updates_ended(clock: Clock) -> Iterator[Callable[[], None]]:
    """Gives a call that waits until a run's learner computes nothing beside the loop.

    Of updates that are made ahead the last one still waits for its second half, as ever between
    two. The run must begin meanwhile. The time counts as `learner`.
    """
    asked, made = 0, 0
    progress = threading.Condition()
    update = updater.Beside.update

    def noted(beside: updater.Beside, number: int, step: int) -> Any:
        nonlocal asked
        asked += number
        return update(beside, number, step)

    def counted(name: str) -> Any:
        train = getattr(updater._Trainer, name)

        def call(trainer: Any, batch: Any, step: int) -> Any:
            nonlocal made
            metrics = train(trainer, batch, step)
            with progress:
                made += 1
                progress.notify_all()
            return metrics

        return mock.patch.object(updater._Trainer, name, call)

    def wait() -> None:
        def wait_for_all() -> None:
            with progress:
                progress.wait_for(lambda: made >= asked)

        if asked:  # Else the loop makes its updates itself, and nothing is waited for.
            clock.timed('learner', wait_for_all)()

    with (
        counted('train'),
        counted('train_ahead'),
        mock.patch.object(updater.Beside, 'update', noted),
    ):
        yield wait


class Mark(NamedTuple):
    """Where a run stands: seconds of the clock, seconds by part, updates."""

    time: float
    parts: dict[str, float]
    updates: int


@dataclasses.dataclass(frozen=True)
class Segments:
    """Equal stretches of a run, after a warm-up.

    Attributes:
        seconds: how long each took.
        parts: of each, seconds by part.
        updates: of each, how many updates were made.
        steps: agent steps of each.
        action_repeat: frames of an agent step.
        precision, device: what it was computed in and on.
        peak_host, peak_device: largest memory of the process in bytes; None without a GPU.
    """

    seconds: list[float]
    parts: list[dict[str, float]]
    updates: list[int]
    steps: int
    action_repeat: int
    precision: str
    device: str
    peak_host: int
    peak_device: int | None

    @property
    def frames_per_second(self) -> list[float]:
        """Frames a second of each stretch."""
        return [self.steps * self.action_repeat / seconds for seconds in self.seconds]


def measure_segments(
    flags: Sequence[str],
    count: int,
    steps: int,
    warmup: int,
    wait: bool = False,
    plain: bool = False,
    packages: Path | None = None,
    turn: Turn | None = None,
) -> Segments:
    """Trains, and times `count` stretches of `steps` agent steps after `warmup` steps.

    To be called in a process of its own (`children.in_child`, `children.in_turn`).

    Args:
        flags: for the configuration.
        count, steps, warmup: as above.
        wait: whether to wait for each update.
        plain: compute by the plain formulas, in float32.
        packages: a folder with another build of the emulator.
        turn: to be handed on after the warm-up and after each stretch. The updates that a stretch
            has begun end in it, or they would be computed in the others' time.

    Raises:
        RuntimeError: another build of the emulator was used than that of `packages`.
    """
    from . import machine

    devices.hide_noise()
    if packages:
        sys.path.insert(0, str(packages))
    if turn:
        turn.take()
    config = load_config(list(flags))
    clock = Clock()
    stretches: list[tuple[Mark, Mark]] = []
    begun: list[Mark] = []

    def mark() -> Mark:
        return Mark(time.perf_counter(), dict(clock.seconds), clock.calls.get('update', 0))

    def on_act(acted: int) -> None:
        if len(stretches) == count or acted < warmup + steps * len(begun):
            return
        if turn:
            wait_for_updates()
        if begun:
            stretches.append((begun[-1], mark()))
        if len(stretches) == count:
            stop_run()
            return
        if turn:
            turn.hand_on()
            turn.take()
        begun.append(mark())

    with contextlib.ExitStack() as stack:
        wait_for_updates = stack.enter_context(updates_ended(clock))
        if plain:
            config = subject.plainly(config)
        device = run_instrumented(config, clock, on_act, wait=wait)
    if packages and not Path(sys.modules['nes_py'].__file__ or '').is_relative_to(packages):
        raise RuntimeError(f'the emulator of {packages} was not used')
    keys = {'busy', *clock.seconds}
    return Segments(
        seconds=[after.time - before.time for before, after in stretches],
        parts=[
            {key: after.parts.get(key, 0.0) - before.parts.get(key, 0.0) for key in keys}
            for before, after in stretches
        ],
        updates=[after.updates - before.updates for before, after in stretches],
        steps=steps,
        action_repeat=config.action_repeat,
        precision=device.precision,
        device=device.name,
        peak_host=machine.peak_host_bytes(),
        peak_device=machine.peak_device_bytes(),
    )
