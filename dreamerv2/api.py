"""The library: training, on an environment of one's own too, and trained agents.

import gymnasium
import dreamerv2.api as dv2

config = dv2.defaults.update({'logdir': '~/logdir/cartpole', 'steps': 20_000, 'prefill': 1000})
dv2.train(gymnasium.make('CartPole-v1'), config)
dv2.evaluate(gymnasium.make('CartPole-v1'), config.logdir)

agent = dv2.load('~/logdir/mario')
env = agent.make_env()
action, state = agent.act(env.reset())
pictures = agent.decode(agent.imagine(state, 15))['image']
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import dreamerv2.gymnasium_ids  # noqa: F401  (registers our levels)
from dreamerv2.config import Config, files, load_config
from dreamerv2.envs import parse_task
from dreamerv2.envs.contract import Environment
from dreamerv2.envs.workers import InProcess
from dreamerv2.errors import UsageError, shown
from dreamerv2.evaluate import ACTIONS
from dreamerv2.paths import expand_home
from dreamerv2.quiet import prepare_tensorflow
from dreamerv2.replay import Replay
from dreamerv2.run import build, checkpoint, devices, evaluation, random_streams
from dreamerv2.run.build import Parts, default_parts, make_agent, named_callbacks
from dreamerv2.run.callbacks import Callback
from dreamerv2.run.checkpoint import zoo
from dreamerv2.run.training import train as _train
from dreamerv2.trained import State, TrainedAgent, load, load_agent, wrapped

__all__ = [
    'Callback',
    'Config',
    'Replay',
    'State',
    'TrainedAgent',
    'defaults',
    'evaluate',
    'load',
    'make_env',
    'presets',
    'train',
]


class _Presets(Mapping[str, Config]):
    """The presets of `configs.yaml` by name, each applied to the defaults."""

    def __getitem__(self, name: str) -> Config:
        if name not in self:
            raise KeyError(f'{shown(name)}: expected one of {", ".join(self)}')
        return load_config(presets=[name])

    def __iter__(self) -> Iterator[str]:
        return iter(files.read_presets(files.default_file()))

    def __len__(self) -> int:
        return len(list(iter(self)))

    def __contains__(self, name: object) -> bool:
        return name in list(iter(self))


presets: Mapping[str, Config] = _Presets()
defaults: Config = presets['defaults']


def make_env(task: Any, config: Config = defaults, *, seed: int = 0) -> Environment:
    """An environment with this project's interface (`dreamerv2.envs.contract.Environment`).

    Args:
        task: its name, such as `mario_1-1`, or a Gym or Gymnasium environment.
        config: of which `render_size`, `grayscale`, `action_repeat`, `sticky`, `time_limit` and the
            keys of the game count.
        seed: of everything random in it.

    Raises:
        UsageError: there is no such task, or the environment cannot be used.
    """
    if isinstance(task, str):
        return build.build_env(config, task, seed)
    return _checked(task, config, seed)


def train(env: Any, config: Config, callbacks: Sequence[Callback] = ()) -> int:
    """Trains an agent.

    Args:
        env: a Gym or Gymnasium environment (old or new `step`), or one with this project's
            interface (`dreamerv2.envs.contract.Environment`), which is used as it is. Others are
            wrapped by the configuration's `render_size`, `grayscale`, `action_repeat`, `sticky` and
            `time_limit`. There are no evaluations then. None for the configuration's task, as
            `train.py` does.
        config: `defaults.update({...})`. The environment's own name is recorded as `task` instead
        of the configuration's; `envs` is ignored.
        callbacks: called during the run, after those that the configuration names.

    Returns:
        0 when the budget is used, 75 when stopped (Ctrl-C, SIGTERM) with a checkpoint.

    Raises:
        UsageError: the environment or the logdir cannot be used.
    """
    prepare_tensorflow()
    if env is None:
        return _train(config, default_parts(config, callbacks))
    own = _checked(env, config, random_streams.derive(config.seed, 'envs'))
    config = config.update({'action_repeat': own.action_repeat, 'envs': 1})
    config = config.update({'task': _task(own, config)})
    return _train(
        config,
        Parts(
            envs=lambda: InProcess([lambda: own]),
            evaluation={},
            agent=functools.partial(make_agent, config),
            callbacks=[*named_callbacks(config), *callbacks],
        ),
    )


def evaluate(
    env: Any,
    logdir: str | Path,
    *,
    episodes: int = 10,
    step: int | Literal['best'] | None = None,
    policy: Literal['mode', 'sample', 'train'] = 'mode',
    seed: int | None = None,
) -> dict[str, dict[str, Any]]:
    """Plays episodes with the agent of a checkpoint, prints a table and returns its numbers.

    Args:
        env: as for `train`; it is closed at the end.
        logdir: of the training run, or `zoo:NAME`.
        episodes: number of episodes.
        step: the checkpoint's frames, or 'best'; None: the newest.
        policy: 'mode' is the most probable action, 'sample' draws from the actor's distribution,
        'train' adds exploration noise as in training.
        seed: of the environment and the agent; None: the run's own.

    Returns:
        The numbers of the table by level, as `evaluate.py --json` writes them under `levels`.

    Raises:
        UsageError: there is no such checkpoint, or it was trained on another kind of environment.
    """
    prepare_tensorflow()
    if episodes < 1:
        raise UsageError(f'{episodes} episodes: expected a whole number from 1')
    if policy not in evaluation.POLICY_MODES:
        raise UsageError(f'policy {policy!r}: expected {" or ".join(evaluation.POLICY_MODES)}')
    saved = checkpoint.find(zoo.located(logdir), step, print)
    config = Config.load(saved.config_path)
    seed = config.seed if seed is None else seed
    own = _checked(env, config, random_streams.derive(seed, 'evaluation', 1))
    device = devices.configure(
        config.precision, device=config.device, gpu_memory=config.gpu_memory, say=print
    )
    agent = load_agent(saved, config, own, device, random_streams.derive(seed, 'evaluation'))
    evaluator = evaluation.Evaluator(
        {own.levels[0]: lambda: own}, longest=evaluation.longest_episode(config.time_limit)
    )
    mode = evaluation.POLICY_MODES[policy]
    played = evaluator.evaluate(lambda obs, state: agent.policy(obs, state, mode=mode), episodes)
    evaluator.close()
    assert played is not None, 'nothing stops it'
    results = evaluation.level_results(played, config.time_limit)
    print(f'{saved.path}, at {saved.frames} frames. Actions: {ACTIONS[policy]}.')
    print(evaluation.table(results))
    print(evaluation.TABLE_NOTE)
    return results


def _checked(env: Any, config: Config, seed: int) -> Any:
    """The environment with this project's interface, after a step to check that it works."""
    own: Any = wrapped(env, config, seed)
    if own is not env:
        own.probe()
    return own


def _task(own: Environment, config: Config) -> str:
    """The name under which an environment is recorded: that of its task, or `own_NAME`.

    Earlier versions recorded the configuration's task, whatever was trained on; such a run keeps
    it, so that it can be resumed.
    """
    name = str(own.describe().get('name') or own.levels[0])
    saved, provenance = (
        expand_home(config.logdir) / file for file in ('config.yaml', 'provenance.json')
    )
    if saved.exists() and Config.load(saved).task == config.task:
        made_as = json.loads(provenance.read_text())['environment'] if provenance.exists() else {}
        if made_as.get('name') != config.task:
            return str(config.task)
    try:
        parse_task(name)
    except UsageError:
        name = f'own_{name}'
    return re.sub(r'[^\w./+-]', '_', name, flags=re.ASCII) if name.startswith('own_') else name
