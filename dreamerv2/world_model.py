"""Trains a world model alone on recorded episodes and scores it, or scores a run's checkpoint.

    python -m dreamerv2.world_model LOGDIR --configs mario_small --updates 1500 --every 500
    python -m dreamerv2.world_model LOGDIR --updates 0

This compares settings of the world model in minutes instead of hours.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dreamerv2.cli import Parser, exit_code_of, whole_number
from dreamerv2.errors import UsageError, shown
from dreamerv2.run import devices
from dreamerv2.run.checkpoint import zoo
from dreamerv2.run.metrics import insight

_LINE = (  # Columns of an evaluation's line, and the measures they show.
    ('player', [f'model_error/player{ahead}' for ahead in ('', '_5', '_15')]),
    ('enemies', [f'model_error/enemies{ahead}' for ahead in ('', '_5', '_15')]),
    ('rest', [f'model_error/rest{ahead}' for ahead in ('', '_5', '_15')]),
    ('deaths_auc', [f'deaths_foreseen/auc_{ahead}' for ahead in (0, 4, 8)]),
    ('reward_corr', ['reward_predicted/correlation']),
)


def parse_arguments(argv: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """The command's own arguments, and the flags of the configuration."""
    parser = Parser(
        prog='python -m dreamerv2.world_model',
        description='Trains a world model alone on recorded episodes and scores it on every tenth '
        'of them, which is held out. All other flags are those of train.py. Errors are relative to '
        'a drawing without the sprite (1: blind, 0: perfect), for the observed image and open loop '
        'after 5 and 15 steps; deaths are predicted 0, 4 and 8 steps ahead.',
        allow_abbrev=False,
    )
    parser.add_argument('path', type=Path, help='a logdir, or a folder of episodes')
    parser.add_argument(
        '--updates',
        type=whole_number(),
        default=1500,
        help="default: 1500; 0 scores the logdir's newest checkpoint on episodes that it plays",
    )
    parser.add_argument(
        '--every', type=whole_number(), default=500, help='updates between scores (default: 500)'
    )
    parser.add_argument(
        '--episodes',
        type=whole_number(),
        default=10,
        help='with --updates 0: episodes on each level',
    )
    return parser.parse_known_args(argv)


def run(argv: Sequence[str]) -> int:
    """Trains and scores as the command line says; returns exit code 0.

    Raises:
        UsageError: a mistake of the user.
    """
    arguments, flags = parse_arguments(argv)
    path = zoo.located(arguments.path)
    if not path.is_dir():
        raise UsageError(f'{path} is not a folder: expected a logdir or a folder of episodes')
    if arguments.updates:
        train(path, flags, arguments.updates, arguments.every or arguments.updates)
    elif flags or not arguments.episodes:
        raise UsageError(
            f'--updates 0 scores a checkpoint as it is, on at least one episode: leave out '
            f'{" ".join(flags) or "--episodes 0"}'
        )
    else:
        score(path, arguments.episodes)
    return 0


def train(path: Path, flags: Sequence[str], updates: int, every: int) -> None:
    """Trains a world model on recorded episodes and prints a line for each evaluation."""
    from dreamerv2.config import load_config
    from dreamerv2.replay import Replay, disk
    from dreamerv2.replay.episode import from_arrays
    from dreamerv2.run import build, model_evaluation, random_streams
    from dreamerv2.run.updater import Batches

    config = load_config(flags)
    folder = path / 'train_episodes' if (path / 'train_episodes').is_dir() else path
    files = disk.list_files(folder)
    if len(files) < 2:
        raise UsageError(f'{folder} holds {len(files)} episodes: expected at least two')
    env = build.build_env(config, config.task, random_streams.derive(config.seed, 'envs'))
    obs_space, act_space = env.obs_space, env.act_space
    env.close()
    replay = Replay(
        None,
        capacity=0,
        past_end=config.replay.past_end,
        prioritize_ends=config.replay.prioritize_ends,
        seed=random_streams.derive(config.seed, 'replay'),
        minlen=config.replay.minlen,
        maxlen=config.replay.maxlen,
        discrete=hasattr(act_space, 'n'),
    )
    held_out = []
    for file, kept in zip(files, insight.held_out([file.serial for file in files]), strict=True):
        try:
            arrays = disk.read_episode(file)
        except disk.DamagedEpisodeError as error:
            raise UsageError(f'{error}; move it away') from error
        _check(file.path, arrays, obs_space, act_space)
        if kept:
            held_out.append(arrays)
        else:
            replay.append(from_arrays(arrays, file.serial))
    with devices.hidden_native_stderr():
        device = devices.configure(config.precision, device=config.device, say=_say)
        agent: Any = build.build_agent(config, obs_space, act_space, device)
    rows = sum(len(arrays['reward']) for arrays in held_out)
    learned = len(files) - len(held_out)
    print(f'{learned} episodes to learn from, {len(held_out)} held out ({rows} rows)', flush=True)
    batches = Batches(replay, config.dataset.batch, config.dataset.length, agent.to_device)
    state, done, seconds = None, 0, 0.0
    while done < updates:
        losses: dict[str, list[float]] = {'image_loss': [], 'model_kl': []}
        for _ in range(min(every, updates - done)):
            begin = time.perf_counter()
            state, metrics = agent.train_model(batches.take(), state)
            for name, values in losses.items():
                values.append(float(metrics.get(name, np.nan)))
            seconds += time.perf_counter() - begin if done else 0.0  # The first compiles.
            done += 1
        found = model_evaluation.look_at(agent, held_out, config.discount, behavior=False)
        means = {name: float(np.mean(values)) for name, values in losses.items()}
        speed = {'updates/s': (done - 1) / seconds} if seconds else {}
        print(line({'updates': done, **speed, **means}, found), flush=True)
    batches.close()


def score(path: Path, episodes: int) -> None:
    """Prints every measure of a logdir's newest checkpoint, on episodes that its agent plays."""
    from dreamerv2.config import Config
    from dreamerv2.run import build, checkpoint, evaluation, model_evaluation, random_streams
    from dreamerv2.trained import load_agent

    saved = checkpoint.find(path, None, _say)
    config = Config.load(saved.config_path)
    if not config.task.startswith('mario_'):
        raise UsageError(
            f'{saved.path} is for {shown(config.task)}: only Mario says where its player is drawn'
        )
    tasks = build.single_level_tasks(config.task, build.task_sets(config))
    makers = {
        level: lambda task=task, index=index: build.build_env(
            config, task, random_streams.derive(config.seed, 'evaluation', index + 1)
        )
        for index, (level, task) in enumerate(tasks.items())
    }
    evaluator = evaluation.Evaluator(makers)
    first = evaluator.env(evaluator.levels[0])
    with devices.hidden_native_stderr():
        device = devices.configure(config.precision, device=config.device, say=_say)
        agent = load_agent(
            saved, config, first, device, random_streams.derive(config.seed, 'evaluation')
        )
    recorder = model_evaluation.Recorder()
    mode = evaluation.POLICY_MODES[config.eval_policy]
    evaluator.evaluate(
        lambda obs, state: agent.policy(obs, state, mode=mode), episodes, on_step=[recorder]
    )
    evaluator.close()
    found = model_evaluation.look_at(agent, recorder.episodes, config.discount)
    rows = sum(len(episode['reward']) for episode in recorder.episodes)
    print(f'{saved.path}: {len(recorder.episodes)} episodes ({rows} rows)')
    for name, value in found.items():
        print(f'{name} {value:.4g}')


def line(counts: Mapping[str, float], found: Mapping[str, float]) -> str:
    """An evaluation in one line; a missing value is a dash."""
    parts = [f'{name} {value:.4g}' for name, value in counts.items()]
    for name, keys in _LINE:
        values = [f'{found[key]:.3g}' if key in found else '-' for key in keys]
        contrast = found.get(f'model_error/{name}_contrast', np.inf)
        low = f' (contrast {contrast:.2g})' if contrast < insight.LEAST_CONTRAST else ''
        parts.append(f'{name} {"/".join(values)}{low}')
    return '  '.join(parts)


def _check(
    path: Path, arrays: Mapping[str, np.ndarray], obs_space: Mapping[str, Any], act_space: Any
) -> None:
    """Raises UsageError where an episode has other images or actions, or no boxes."""
    from dreamerv2.run import model_evaluation
    from dreamerv2.run.driver import action_size

    if not model_evaluation.has_boxes(arrays):
        raise UsageError(
            f'{path} does not say where the player is: it was recorded by an earlier version, or '
            'in another game; record new episodes, such as by a run of --steps 16000'
        )
    for name, size in (('image', obs_space['image'].shape), ('action', (action_size(act_space),))):
        if arrays[name].shape[1:] != tuple(size):
            raise UsageError(
                f'{path}: {name} is {list(arrays[name].shape[1:])}, the configuration has '
                f'{list(size)}: see grayscale, render_size and mario_actions'
            )


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    return exit_code_of(run, argv)


if __name__ == '__main__':
    sys.exit(main())
