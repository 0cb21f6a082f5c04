"""A real training run in a temporary logdir, with a clock on its environments and its agent."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from dreamerv2.config import Config
from dreamerv2.run import devices

from .timing import Clock, Timed

LEARNING = ('train', 'train_ahead', 'finish')


def train(
    config: Config,
    clock: Clock,
    *,
    on_act: Callable[[int], Any] = lambda acted: None,
    on_update: Callable[[Any], Any] = lambda metrics: None,
    command: Sequence[str] = ('bench.py',),
) -> tuple[int, devices.Device]:
    """Trains; the clock's parts are `begin` and `emulator`, `policy`, and `learner`.

    `begin` is when steps of environments start, `emulator` when they are waited for. Episodes end
    within the prefill, for there is nothing to learn from before one did.

    Args:
        config: the run's.
        clock: where the times go.
        on_act: called before each call of the policy with the agent steps made since the prefill.
        on_update: called after each update with its metrics, or None where they come later.
        command: for the provenance.

    Returns:
        Exit code, and what the agent computed on.
    """
    from dreamerv2.run.build import default_parts
    from dreamerv2.run.training import train as train_run

    used: list[devices.Device] = []
    acted = 0
    if not config.time_limit:
        config = config.update({'time_limit': max(config.prefill // (2 * config.envs), 1)})

    def watched(agent: Any) -> Any:
        timed = Timed(agent, clock, {'policy': 'policy', **dict.fromkeys(LEARNING, 'learner')})
        policy = timed.policy

        def act(obs: Any, state: Any = None, mode: str = 'train') -> Any:
            nonlocal acted
            on_act(acted)
            acted += len(obs['is_first'])
            return policy(obs, state, mode=mode)

        def then_told(update: Callable[..., Any]) -> Callable[..., Any]:
            def call(*args: Any, **kwargs: Any) -> Any:
                result = update(*args, **kwargs)
                on_update(result[1])
                return result

            return call

        timed.policy = act
        timed.train = then_told(timed.train)
        timed.train_ahead = then_told(timed.train_ahead)
        return timed

    made = default_parts(config)

    def make_agent(obs_space: Any, act_space: Any, say: Any) -> tuple[Any, devices.Device]:
        plain, device = made.agent(obs_space, act_space, say)
        used.append(device)
        return watched(plain), device

    def envs() -> Any:
        calls = {'begin': 'begin', 'end': 'emulator', 'reset': 'emulator'}
        return Timed(made.envs(), clock, calls)

    parts = dataclasses.replace(made, agent=make_agent, envs=envs)
    code = train_run(config, parts, command=list(command))
    return code, used[0]
