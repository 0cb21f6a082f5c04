"""How often a second the policy chooses actions, for several environments at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from . import subject
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
    """Measures all numbers of environments, in turn."""
    config = options.config
    device = subject.configure(config, options.say)
    spaces = subject.find_spaces(config)
    agent = subject.make_agent(config, spaces, device, device.precision)
    calls = {envs: policy_call(agent, subject.random_observations(spaces, envs)) for envs in ENVS}
    samples = time_interleaved(calls, options.repeat, warmup=2)
    rows: list[list[Any]] = []
    for envs, seconds in samples.items():
        rate = spread(1 / value for value in seconds)
        rows.append([envs, rate, spread(1e3 * value for value in seconds), envs * rate.median])
    columns = ['environments', 'calls/s', 'ms a call', 'actions/s']
    title = f'Policy, in {device.precision} on {device.kind.upper()}'
    return options.report([Table(title, columns, rows, [options.spread_note])])
