"""What a training run is made of: environments and agent, by default those of the configuration."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from dreamerv2.config import Config
from dreamerv2.envs.contract import Environment
from dreamerv2.envs.workers import Workers
from dreamerv2.errors import UsageError
from dreamerv2.run import build, checkpoint, devices, inheritance, loading, seeding
from dreamerv2.run.types import Agent

AgentMaker = Callable[[Mapping[str, Any], Any], tuple[Agent, devices.Device]]


@dataclasses.dataclass(frozen=True)
class Parts:
    """What a run is made of, each as a function that makes it.

    Attributes:
        envs: the environments that collect.
        evaluation: by level, its environment for evaluation; empty for no evaluation.
        agent: from observation and action space the agent, and what it computes on. Called in
            a thread beside the prefill.
    """

    envs: Callable[[], Workers]
    evaluation: Mapping[str, Callable[[], Environment]]
    agent: AgentMaker


def default_parts(config: Config, say: Callable[[str], Any] = print) -> Parts:
    """The parts that the configuration names."""
    tasks = build.single_level_tasks(config.task, build.task_sets(config))

    def evaluation_maker(task: str, index: int) -> Callable[[], Environment]:
        seed = seeding.derive(config.seed, 'eval_envs', index)
        return lambda: build.build_env(config, task, seed)

    return Parts(
        envs=lambda: build.build_envs(config),
        evaluation={
            level: evaluation_maker(task, index)
            for index, (level, task) in enumerate(tasks.items())
        },
        agent=agent_maker(config, say),
    )


def agent_maker(config: Config, say: Callable[[str], Any] = print) -> AgentMaker:
    """Makes the agent of the configuration, on the device of the configuration."""

    def make(obs_space: Mapping[str, Any], act_space: Any) -> tuple[Agent, devices.Device]:
        device = devices.configure(
            config.precision,
            device=config.device,
            gpu_memory=config.gpu_memory,
            deterministic=config.deterministic,
            say=say,
        )
        return build.build_agent(config, obs_space, act_space, device), device

    return make


def make_agent(
    config: Config,
    make: AgentMaker,
    envs: Workers,
    saved: checkpoint.Checkpoint | None,
    parent: checkpoint.Checkpoint | None = None,
    say: Callable[[str], Any] = print,
) -> tuple[Agent, devices.Device]:
    """The agent as the run starts with it.

    With the whole state of the checkpoint `saved`, or else with what it inherits from `parent`,
    which is told to `say`.

    Raises:
        UsageError: it does not fit the environment or the checkpoint.
    """
    with devices.hidden_native_stderr():
        agent, device = make(envs.obs_space, envs.act_space)
        if saved is not None:
            try:
                agent.set_state(loading.whole_state(saved.arrays(), agent.get_state()))
            except ValueError as error:
                raise UsageError(f'{saved.path} does not fit: {error}') from error
        elif parent is not None:
            choice = inheritance.choice_of(config)
            state, table = inheritance.inherit(parent.arrays(), agent.get_state(), choice)
            agent.set_state(state)
            say(table)
    return agent, device


def warm_up(config: Config, agent: Agent, envs: Workers) -> None:
    """Makes the agent ready to act and learn without delay."""
    dataset = config.dataset
    example = build.example_batch(envs.obs_space, envs.act_space, dataset.batch, dataset.length)
    with devices.hidden_native_stderr():
        agent.warm_up(example, envs=len(envs) // build.turns(config))
