"""From the configuration to the parts of a run, which themselves take named arguments.

Environments and agent may also be passed in (`Parts`); by default the configuration names them.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dreamerv2 import plugins
from dreamerv2.config import Config
from dreamerv2.envs import make_env, parse_task
from dreamerv2.envs.contract import Environment
from dreamerv2.envs.factory import make_workers
from dreamerv2.envs.workers import Workers
from dreamerv2.errors import UsageError, printable, shown
from dreamerv2.replay import Replay
from dreamerv2.run import devices, random_streams
from dreamerv2.run.callbacks import Callback
from dreamerv2.run.driver import action_size
from dreamerv2.run.types import Agent, Batch, Say

HIDDEN = ('reward', 'is_first', 'is_last', 'is_terminal', 'level')  # from encoder and decoder
NO_KEY = '$^'  # The pattern that is meant to match nothing.


def task_sets(config: Config) -> dict[str, tuple[str, ...]]:
    """The configuration's named sets of levels."""
    return {name: tuple(levels) for name, levels in config.sets.items()}


def single_level_tasks(task: str, sets: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """For each level of a task the task that has this level alone, by the level's name."""
    parsed = parse_task(task, sets)
    if len(parsed.names) == 1:
        return {parsed.names[0]: task}
    return {name: f'{parsed.family}_{name}' for name in parsed.names}


def env_options(config: Config, task: str) -> dict[str, Any]:
    """The options of `make_env` that the configuration holds."""
    sets = task_sets(config)
    parsed = parse_task(task, sets)
    several = len(parsed.names) > 1
    # An agent of several games has the actions of all, also where it plays one of them alone.
    all_actions = config.atari_all_actions or len(parse_task(config.task, sets).names) > 1
    colour = parsed.family == 'atari' and not config.atari_grayscale
    same = ('action_repeat', 'sticky', 'time_limit', 'mario_actions')
    return {key: config[key] for key in same} | {
        'size': config.render_size,
        'grayscale': config.grayscale and not colour,
        'all_actions': all_actions,
        'level_weights': (list(config.level_weights) or None) if several else None,
        'sets': sets,
    }


def build_env(config: Config, task: str, seed: int) -> Environment:
    """One environment of a task, with the options of the configuration."""
    return make_env(task, seed=seed, **env_options(config, task))


def turns(config: Config) -> int:
    """In how many groups the environments take turns: two for an even number beside each other."""
    return 2 if config.envs_parallel != 'none' and config.envs % 2 == 0 else 1


def build_replay(config: Config, directory: Path, envs: Workers, hold: bool = False) -> Replay:
    """The replay of a logdir; see `Replay` for `hold`."""
    return Replay(
        directory,
        **config.replay,
        seed=random_streams.derive(config.seed, 'replay'),
        levels=list(envs.levels),
        discrete=hasattr(envs.act_space, 'n'),
        hold=hold,
    )


def check_keys(config: Config, obs_space: Mapping[str, Any]) -> None:
    """Raises UsageError where the patterns of encoder or decoder do not fit the environment.

    Nothing would be seen or rebuilt, or a pattern matches none of the pictures or vectors.
    """
    seen = [key for key in obs_space if key not in HIDDEN and not key.startswith('log_')]
    shapes = {key: tuple(obs_space[key].shape) for key in seen}
    kinds = {'cnn_keys': ('picture', 3), 'mlp_keys': ('vector', 1)}
    there = {
        part: [key for key, shape in shapes.items() if len(shape) == rank]
        for part, (_, rank) in kinds.items()
    }
    blind = []  # Modules that have nothing to work on, though that was not asked for.
    for module in ('encoder', 'decoder'):
        patterns = {part: config[f'{module}.{part}'] for part in kinds}
        used = [part for part in kinds if there[part] and patterns[part] != NO_KEY]
        for part in used:
            if not any(re.match(patterns[part], key) for key in there[part]):
                name = f'--{module}.{part}'
                raise UsageError(
                    f'{name} {shown(patterns[part])} matches no {kinds[part][0]} of {config.task}, '
                    f'which has {printable(", ".join(there[part]), 200)}: use {name} '
                    f"{printable(there[part][0])}, or '{NO_KEY}' for none."
                )
        if not used and (module == 'encoder' or set(patterns.values()) != {NO_KEY}):
            blind.append(module)
    if blind:
        listed = ', '.join(f'{key} {list(shape)}' for key, shape in shapes.items())
        remedy = ' '.join(
            f"--{module}.{part} '.*'" for module in blind for part in kinds if there[part]
        )
        does = 'encoder sees' if 'encoder' in blind else 'decoder rebuilds'
        raise UsageError(
            f'The {does} nothing of {config.task}, which has '
            f'{printable(listed, 200) or "no pictures or vectors"}: '
            f'{f"use {remedy}" if remedy else "there is nothing to learn from"}.'
        )


def build_agent(
    config: Config,
    obs_space: Mapping[str, Any],
    act_space: Any,
    device: devices.Device,
    *,
    seed: int | None = None,
) -> Agent:
    """The agent; imports TensorFlow, which `devices.configure` has set up.

    `seed` is the agent's own; derived from the run's by default.

    Raises:
        UsageError: the settings do not fit each other or the observations.
    """
    from dreamerv2.agent import Agent as DreamerAgent
    from dreamerv2.nets.cpu import make_kernels

    try:
        return DreamerAgent(
            obs_space,
            act_space,
            config,
            seed=random_streams.derive(config.seed, 'agent') if seed is None else seed,
            precision=device.precision,
            xla=config.jit and device.kind == 'gpu',
            acting_copy=config.async_collect,
            ahead=learns_ahead(config, device),
            kernels=make_kernels(kernels_of(config, device), device.branches),
            levels=list(single_level_tasks(config.task, task_sets(config))),
        )
    except ValueError as error:
        reason = str(error).strip().splitlines()[0]
        raise UsageError(f'No agent can be made with these settings: {reason}') from error


def learns_ahead(config: Config, device: devices.Device) -> bool:
    """Whether each update is completed together with the next (`Agent.train_ahead`).

    Worth it beside acting, on a CPU; a GPU computes one operation after the other anyway.
    """
    return config.async_collect and kernels_of(config, device) == 'cpu'


def kernels_of(config: Config, device: devices.Device) -> str:
    """Which kernels compute, `plain` or `cpu`."""
    if config.kernels != 'auto':
        return config.kernels
    return 'cpu' if device.kind == 'cpu' else 'plain'


def example_batch(obs_space: Mapping[str, Any], act_space: Any, batch: int, length: int) -> Batch:
    """A batch of zeros, of the shapes and types that the replay gives."""
    spaces = {key: space for key, space in obs_space.items() if not key.startswith('log_')}
    zeros = {key: np.zeros((batch, length, *x.shape), x.dtype) for key, x in spaces.items()}
    zeros['action'] = np.zeros((batch, length, action_size(act_space)), np.float32)
    zeros['mask'] = np.ones((batch, length), np.float32)
    zeros['is_first'][:, 0] = True
    return zeros


# From observation and action space, and what prints a line, the agent and what it computes on.
AgentMaker = Callable[[Mapping[str, Any], Any, Say], tuple[Agent, devices.Device]]


@dataclasses.dataclass(frozen=True)
class Parts:
    """What a run is made of, each as a function that makes it."""

    envs: Callable[[], Workers]  # that collect
    evaluation: Mapping[str, Callable[[], Environment]]  # by level; empty for no evaluation
    agent: AgentMaker  # called in a thread beside the prefill
    callbacks: Sequence[Callback] = ()


def default_parts(config: Config, callbacks: Sequence[Callback] = ()) -> Parts:
    """The parts that the configuration names, and callbacks besides those that it names."""
    tasks = single_level_tasks(config.task, task_sets(config))
    seed = functools.partial(random_streams.derive, config.seed)
    options = env_options(config, config.task) | {'seed': seed('envs')}
    return Parts(
        envs=lambda: make_workers(
            config.task, config.envs, parallel=config.envs_parallel, **options
        ),
        evaluation={
            level: functools.partial(build_env, config, task, seed('eval_envs', index))
            for index, (level, task) in enumerate(tasks.items())
        },
        agent=functools.partial(make_agent, config),
        callbacks=[*named_callbacks(config), *callbacks],
    )


def named_callbacks(config: Config) -> list[Callback]:
    """The callbacks of installed packages that the configuration names.

    Raises:
        UsageError: no package has the name, or what it has is no callback.
    """
    made = []
    for name in config.callbacks:
        kind = plugins.load('callbacks', name)
        if not (isinstance(kind, type) and issubclass(kind, Callback)):
            raise UsageError(
                f'callbacks {name}: {shown(kind)} is not a class of '
                'dreamerv2.run.callbacks.Callback'
            )
        made.append(kind())
    return made


def make_agent(
    config: Config, obs_space: Mapping[str, Any], act_space: Any, say: Say
) -> tuple[Agent, devices.Device]:
    """The agent of the configuration, on the device of the configuration."""
    options = {key: config[key] for key in ('device', 'gpu_memory', 'deterministic')}
    device = devices.configure(config.precision, **options, say=say)
    return build_agent(config, obs_space, act_space, device), device
