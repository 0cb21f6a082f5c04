"""Training on an environment of one's own.

import gym
import dreamerv2.api as dv2

config = dv2.defaults.update({'logdir': '~/logdir/minigrid', 'prefill': 1e4})
dv2.train(gym.make('MiniGrid-DoorKey-6x6-v0'), config)
"""

from __future__ import annotations

from typing import Any

from dreamerv2.config import Config, load_config
from dreamerv2.envs.workers import InProcess
from dreamerv2.run import devices, seeding
from dreamerv2.run.parts import Parts, agent_maker
from dreamerv2.run.training import train as _train

__all__ = ['defaults', 'train']

defaults: Config = load_config([])


def train(env: Any, config: Config) -> int:
    """Trains an agent on one environment, without evaluations.

    Args:
        env: a Gym or Gymnasium environment (old or new `step`), or one with this project's
            interface (`dreamerv2.envs.contract.Environment`), which is taken as it is. Others are
            wrapped by the configuration's `render_size`, `grayscale`, `action_repeat`, `sticky`
            and `time_limit`.
        config: `defaults.update({...})`; `task` and `envs` have no meaning here.

    Returns:
        0 when the budget is used, 75 when stopped (Ctrl-C, SIGTERM) with a checkpoint.

    Raises:
        UsageError: the environment or the logdir cannot be used.
    """
    devices.hide_noise()
    own = _wrap(env, config)
    config = config.update({'action_repeat': own.action_repeat, 'envs': 1})
    return _train(
        config,
        lambda say: Parts(
            envs=lambda: InProcess([lambda: own]), evaluation={}, agent=agent_maker(config, say)
        ),
    )


def _wrap(env: Any, config: Config) -> Any:
    if hasattr(env, 'obs_space') and hasattr(env, 'act_space'):
        return env
    from dreamerv2.envs.gym_env import GymEnv

    return GymEnv(
        env,
        size=tuple(config.render_size),
        grayscale=config.grayscale,
        action_repeat=config.action_repeat,
        sticky=config.sticky,
        time_limit=config.time_limit,
        seed=seeding.derive(config.seed, 'envs'),
    )
