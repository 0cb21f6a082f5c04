"""Peak memory of host and GPU: each stage in a process of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dreamerv2.config import load_config
from dreamerv2.run import devices

from . import machine, subject
from .children import in_child
from .instrumented import measure_segments
from .options import Options
from .report import Report, Table, counted

UPDATES = 3
STEPS = 400


def environment_peak(flags: Sequence[str]) -> tuple[int, int | None]:
    """Peak of a process that made one environment."""
    subject.find_spaces(load_config(list(flags)))
    return machine.peak_host_bytes(), None


def learner_peak(flags: Sequence[str]) -> tuple[int, int | None]:
    """Peak of a process that made an agent and `UPDATES` updates."""
    devices.hide_noise()
    config = load_config(list(flags))
    device = subject.configure(config, print)
    spaces = subject.find_spaces(config)
    agent = subject.make_agent(config, spaces, device, device.precision)
    batch = subject.random_batch(spaces, config.dataset.batch, config.dataset.length)
    for _ in range(UPDATES):
        _, metrics = agent.train(batch)
        float(metrics['model_loss'])
    return machine.peak_host_bytes(), machine.peak_device_bytes()


def training_peak(flags: Sequence[str], steps: int) -> tuple[int, int | None]:
    """Peak of a process that trained for `steps` agent steps after the prefill."""
    result = measure_segments(flags, 1, steps, 0)
    return result.peak_host, result.peak_device


def run(options: Options) -> Report:
    """Measures all stages."""
    steps = options.steps or STEPS
    stages: dict[str, Any] = {
        'one environment': (environment_peak, options.flags),
        f'agent, {UPDATES} updates': (learner_peak, options.flags),
        f'training run, {counted(steps, "agent step")} after the prefill': (
            training_peak,
            options.flags,
            steps,
        ),
    }
    rows: list[list[Any]] = []
    for name, (function, *arguments) in stages.items():
        options.say(f'Measuring: {name}.')
        host, device = in_child(function, *arguments)
        on_device = device / 1e9 if device is not None else 'not measured: no GPU'
        rows.append([name, host / 1e9, on_device])
    notes = ['Largest resident set of the process; largest allocation on the GPU.']
    return options.report([Table('Peak memory', ['what', 'host (GB)', 'GPU (GB)'], rows, notes)])
