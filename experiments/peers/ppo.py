"""Stable-Baselines3's PPO on our environments, logged like our own runs.

The same frames, actions, rewards and sticky actions as `train.py` with the preset `mario_small` and
the same keys: give both the same `--mario_actions`, `--sticky` and so on. `scripts/plot.sh` draws
the logdirs of both; `minutes` in each line is the time since the start. PyTorch needs gigabytes, so
this has its own environment, with a CPU build of PyTorch:

    python -m venv ~/ppo && ~/ppo/bin/pip install -e '.[peers]'
    ~/ppo/bin/python experiments/peers/ppo.py --task mario_1-1 --logdir ~/logdir/ppo/1

Settings are those that V. Nguyen published for this game (Super-mario-bros-PPO-pytorch): 8
environments of 512 steps, 10 epochs over minibatches of 256, learning rate 1e-4, discount 0.9,
lambda 1, entropy 0.01; a stack of 4 frames. Rewards are divided by 15, their bound per frame.

The same command resumes a run that was stopped, from its last update and with new episodes.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dreamerv2.cli import exit_code_of
from dreamerv2.config import Config, load_config
from dreamerv2.envs.gymnasium_view import GymnasiumView
from dreamerv2.errors import UsageError
from dreamerv2.run import build, random_streams
from dreamerv2.run.metrics.jsonl import METRICS, JsonLines, rows, truncate

CONFIG, SAVED = 'config.yaml', 'ppo.zip'
ENVS, ROLLOUT, STACK, REWARD_SCALE = 8, 512, 4, 1 / 15
SETTINGS = {
    'n_steps': ROLLOUT,
    'batch_size': 256,
    'n_epochs': 10,
    'learning_rate': 1e-4,
    'gamma': 0.9,
    'gae_lambda': 1.0,
    'clip_range': 0.2,
    'ent_coef': 0.01,
    'max_grad_norm': 0.5,
}


def episode_metrics(level: str, total: float, length: int, info: dict[str, Any]) -> dict[str, Any]:
    """What our own runs log about a finished episode, under the same names."""
    values: dict[str, Any] = {'return': total, 'length': length}
    metrics = {f'train_{key}': value for key, value in values.items()}
    values['progress'] = info.get('log_progress')
    values['completed'] = info.get('log_completed')
    metrics.update({f'train_{key}/{level}': v for key, v in values.items() if v is not None})
    return metrics


def make_vector(config: Config) -> Any:
    """`ENVS` environments, each with its own seed, with the last `STACK` images stacked."""
    from stable_baselines3.common.vec_env import DummyVecEnv, VecFrameStack

    def maker(index: int) -> Any:
        seed = random_streams.derive(config.seed, 'envs', index)
        return lambda: GymnasiumView(lambda s: build.build_env(config, config.task, s), seed)

    return VecFrameStack(DummyVecEnv([maker(index) for index in range(ENVS)]), STACK)


def scaled_rewards(envs: Any) -> Any:
    """The same environments with rewards times `REWARD_SCALE`, which the log does not see."""
    from stable_baselines3.common.vec_env import VecEnvWrapper

    class Scaled(VecEnvWrapper):
        def reset(self) -> Any:
            return self.venv.reset()

        def step_wait(self) -> Any:
            obs, rewards, dones, infos = self.venv.step_wait()
            for info, reward in zip(infos, rewards, strict=True):
                info['reward'] = float(reward)
            return obs, rewards * REWARD_SCALE, dones, infos

    return Scaled(envs)


def check_logdir(config: Config, logdir: Path) -> None:
    """Raises UsageError where it holds a run of another kind, or of PPO with other settings."""
    if not (logdir / SAVED).exists():
        if (logdir / METRICS).exists():
            raise UsageError(f'--logdir {logdir} holds a run that is not of PPO: choose another')
        return
    before = Config.load(logdir / CONFIG).flat
    for key, value in config.flat.items():
        if key not in ('steps', 'logdir') and before.get(key) != value:
            raise UsageError(
                f'--{key} is {value!r}, but the run in {logdir} has {before.get(key)!r}: '
                'give that, or another --logdir'
            )


def train(config: Config) -> None:
    """Trains for `steps` agent steps in all environments together, and saves the policy."""
    logdir = Path(config.logdir)
    check_logdir(config, logdir)
    try:
        from stable_baselines3 import PPO
        from stable_baselines3.common.callbacks import BaseCallback
    except ImportError as error:
        raise UsageError(
            f"PPO needs Stable-Baselines3 ({error}): pip install '.[peers]', see --help"
        ) from error
    logdir.mkdir(parents=True, exist_ok=True)
    config.save(logdir / CONFIG)

    class Episodes(BaseCallback):
        """Writes a line at the end of each episode, and saves after each update."""

        def __init__(self, output: JsonLines, minutes: float) -> None:
            super().__init__()
            self._output, self._started = output, time.monotonic() - 60 * minutes
            self._totals = [[0.0, 0] for _ in range(ENVS)]

        def _on_rollout_start(self) -> None:
            self.model.save(logdir / f'new_{SAVED}')
            os.replace(logdir / f'new_{SAVED}', logdir / SAVED)

        def _on_step(self) -> bool:
            for total, done, info in zip(
                self._totals, self.locals['dones'], self.locals['infos'], strict=True
            ):
                total[0] += info['reward']
                total[1] += 1
                if done:
                    metrics = episode_metrics(info['level'], total[0], total[1], info)
                    metrics['minutes'] = (time.monotonic() - self._started) / 60
                    self._output.write(self.num_timesteps * config.action_repeat, metrics, {})
                    total[:] = [0.0, 0]
            return self.num_timesteps < config.steps

    envs = scaled_rewards(make_vector(config))
    if (logdir / SAVED).exists():
        agent = PPO.load(logdir / SAVED, envs, device='cpu')
        agent.set_random_seed(config.seed + agent.num_timesteps)
    else:
        agent = PPO('CnnPolicy', envs, seed=config.seed, device='cpu', **SETTINGS)
    truncate(logdir, agent.num_timesteps * config.action_repeat)
    output = JsonLines(logdir)
    before = rows(logdir, (logdir / METRICS).stat().st_size)
    minutes = max((row['minutes'] for _, row in before), default=0.0)
    try:
        left = config.steps - agent.num_timesteps
        agent.learn(left, callback=Episodes(output, minutes), reset_num_timesteps=False)
        agent.save(logdir / SAVED)
    finally:
        output.close()
        envs.close()


def run(argv: Sequence[str]) -> None:
    """Takes the flags of `train.py`, on top of the preset mario_small."""
    if {'-h', '--help'} & {*argv}:
        print(__doc__)
    else:
        train(load_config(['--configs', 'mario_small', *argv]))


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    return exit_code_of(run, argv)


if __name__ == '__main__':
    sys.exit(main())
