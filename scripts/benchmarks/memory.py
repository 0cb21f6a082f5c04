"""Peak memory of host and GPU: each stage in a process of its own."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from typing import Any

from dreamerv2.config import load_config

from . import machine, subject, watched
from .children import in_child
from .learner import update_call
from .options import Options
from .report import Report, Table, counted
from .timing import Clock

UPDATES = 3
STEPS = 400


def environment_peak(flags: Sequence[str]) -> tuple[int, int | None]:
    """Peak of a process that made one environment."""
    subject.find_spaces(load_config(list(flags)))
    return machine.peak_host_bytes(), None


def learner_peak(flags: Sequence[str]) -> tuple[int, int | None]:
    """Peak of a process that made an agent and `UPDATES` updates."""
    config = load_config(list(flags))
    device = subject.configure(config, print)
    spaces = subject.find_spaces(config)
    agent = subject.make_agent(config, spaces, device, device.precision)
    update = update_call(
        agent, subject.random_batch(spaces, config.dataset.batch, config.dataset.length)
    )
    for _ in range(UPDATES):
        update()
    return machine.peak_host_bytes(), machine.peak_device_bytes()


def training_peak(flags: Sequence[str], steps: int) -> tuple[int, int | None]:
    """Peak of a process that trained for `steps` agent steps after the prefill."""
    config = load_config(list(flags))
    with tempfile.TemporaryDirectory() as folder:
        changes = {'logdir': folder, 'steps': config.prefill + steps, 'eval_every': 0}
        watched.train(config.update(changes), Clock())
    return machine.peak_host_bytes(), machine.peak_device_bytes()


def run(options: Options) -> Report:
    """Measures all stages."""
    steps = options.steps or STEPS
    training = f'training run, {counted(steps, "agent step")} after the prefill'
    stages: dict[str, tuple[Any, ...]] = {
        'one environment': (environment_peak,),
        f'agent, {UPDATES} updates': (learner_peak,),
        training: (training_peak, steps),
    }
    rows: list[list[Any]] = []
    for name, (function, *arguments) in stages.items():
        options.say(f'Measuring: {name}.')
        host, device = in_child(function, options.flags, *arguments)
        on_device = device / 1e9 if device is not None else 'not measured: no GPU'
        rows.append([name, host / 1e9, on_device])
    notes = ['Largest resident set of the process; largest allocation on the GPU.']
    return options.report([Table('Peak memory', ['what', 'host (GB)', 'GPU (GB)'], rows, notes)])
