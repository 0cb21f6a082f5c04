"""A real training run in a temporary logdir, with a clock on each of its parts."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import Any
from unittest import mock

from dreamerv2.config import Config, load_config
from dreamerv2.run import batches, build, devices, updater
from dreamerv2.run.parts import Parts, default_parts

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
        self.train = clock.timed('busy', self._train)

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

    The clock's parts are `emulator`, `policy`, `replay`, `busy` (the learner computes) and, where
    it does so in a thread of its own, `learner` (the loop waits for it).

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
            return Timed(made.envs(), clock, {'step': 'emulator', 'reset': 'emulator'})

        return dataclasses.replace(made, agent=agent, envs=envs)

    with tempfile.TemporaryDirectory() as folder:
        config = config.update({
            'logdir': folder, 'steps': NEVER, 'eval_every': 0, 'save_every': save_every,
        })  # fmt: skip
        timed_replay = mock.patch.object(
            build,
            'build_replay',
            lambda *args: Timed(make_replay(*args), clock, {'add_step': 'replay'}),
        )
        take = clock.timed('replay', batches.Batches.take)
        timed_take = mock.patch.object(batches.Batches, 'take', lambda self: take(self))
        drain = clock.timed('learner', updater.Beside.drain)
        timed_drain = mock.patch.object(updater.Beside, 'drain', lambda self: drain(self))
        with timed_replay, timed_take, timed_drain:
            train(config, parts, command=['bench.py'])
    return used[0]


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
) -> Segments:
    """Trains, and times `count` stretches of `steps` agent steps after `warmup` steps.

    To be called in a process of its own (`children.in_child`). With `plain`, the agent computes
    the direct way.
    """
    from . import machine

    devices.hide_noise()
    config = load_config(list(flags))
    clock = Clock()
    marks: list[tuple[float, dict[str, float], int]] = []

    def on_act(acted: int) -> None:
        if len(marks) <= count and acted >= warmup + steps * len(marks):
            updates = clock.calls.get('busy', 0)
            marks.append((time.perf_counter(), dict(clock.seconds), updates))
            if len(marks) > count:
                stop_run()

    with contextlib.ExitStack() as stack:
        if plain:
            with devices.hidden_native_stderr():  # It imports TensorFlow.
                from .direct import direct_implementation
            stack.enter_context(direct_implementation())
        device = run_instrumented(config, clock, on_act, wait=wait)
    pairs = list(zip(marks, marks[1:], strict=False))
    keys = {'busy', *clock.seconds}
    return Segments(
        seconds=[after[0] - before[0] for before, after in pairs],
        parts=[{k: b[1].get(k, 0.0) - a[1].get(k, 0.0) for k in keys} for a, b in pairs],
        updates=[after[2] - before[2] for before, after in pairs],
        steps=steps,
        action_repeat=config.action_repeat,
        precision=device.precision,
        device=device.name,
        peak_host=machine.peak_host_bytes(),
        peak_device=machine.peak_device_bytes(),
    )
