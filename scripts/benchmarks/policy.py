"""How often a second the policy chooses actions, for several environments at once."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from . import ceiling, flops, subject
from .options import Options
from .report import Report, Table
from .timing import spread, time_interleaved

ENVS = (1, 4, 16, 64)


def policy_call(agent: Any, observations: Mapping[str, np.ndarray]) -> Callable[[], Any]:
    """A call that chooses actions for the observations, and carries the state on."""
    state = None

    def call() -> np.ndarray:
        nonlocal state
        action, state = agent.policy(observations, state, mode='train')
        return action

    return call


def run(options: Options) -> Report:
    """Measures all numbers of environments, and the limit, in turn."""
    config = options.config
    device = subject.configure(config, options.say)
    spaces = subject.find_spaces(config)
    agent = subject.make_agent(config, spaces, device, device.precision)
    calls: dict[str, Callable[[], Any]] = {
        'limit': ceiling.matrix_product(device.precision, device.branches)
    }
    for envs in ENVS:
        calls[str(envs)] = policy_call(agent, subject.random_observations(spaces, envs))
    samples = time_interleaved(calls, options.repeat, warmup=2)
    limit = ceiling.matrix_flops() / statistics.median(samples['limit'])
    rows: list[list[Any]] = []
    for envs in ENVS:
        seconds = samples[str(envs)]
        work = flops.policy_flops(subject.kernel_shapes(agent), envs, spaces.image_side)
        share = 100 * work / statistics.median(seconds) / limit
        rate = spread(1 / value for value in seconds)
        rows.append(
            [envs, rate, spread(1e3 * value for value in seconds), envs * rate.median, share]
        )
    columns = ['environments', 'calls/s', 'ms a call', 'actions/s', 'share of limit (%)']
    notes = [
        options.spread_note,
        f'In {device.precision}. Share: of the rate of a 4096-cube matrix product '
        f'({limit / 1e12:.3g} TFLOP/s).',
    ]
    title = f'Policy, on {device.kind.upper()}'
    return options.report([Table(title, columns, rows, notes)])
