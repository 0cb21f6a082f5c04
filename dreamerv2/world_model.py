"""Trains a world model alone on recorded episodes and scores it.

    python -m dreamerv2.world_model LOGDIR --configs mario_small --updates 1500 --every 500

Settings of the world model can be compared so in minutes instead of hours.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from dreamerv2.errors import UsageError
from dreamerv2.run import devices
from dreamerv2.run.command import exit_code_of


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f'{message}; see --help.')


def _count(text: str) -> int:
    try:
        value = int(float(text))
        if value != float(text) or value < 0:
            raise ValueError
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(f'{text!r} is not a whole number from 0') from None
    return value


def parse_arguments(argv: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """The command's own arguments, and the flags of the configuration."""
    parser = _Parser(
        prog='python -m dreamerv2.world_model',
        description='Trains a world model alone on recorded episodes and scores it on those held '
        'out (every tenth). All other flags are those of train.py.',
        allow_abbrev=False,
    )
    parser.add_argument('episodes', type=Path, help='a logdir, or a folder of episodes')
    parser.add_argument('--updates', type=_count, default=1500, help='default: 1500')
    parser.add_argument(
        '--every', type=_count, default=500, help='updates between scores (default: 500)'
    )
    return parser.parse_known_args(argv)


def run(argv: Sequence[str]) -> int:
    """Trains and scores as the command line says; returns the exit code 0.

    Raises:
        UsageError: a mistake of the user.
    """
    arguments, flags = parse_arguments(argv)
    from dreamerv2.config import load_config
    from dreamerv2.replay import Replay, disk
    from dreamerv2.replay.episode import from_arrays
    from dreamerv2.run import build, insight, looking, seeding
    from dreamerv2.run.batches import Batches

    config = load_config(flags)
    folder = arguments.episodes.expanduser()
    folder = folder / 'train_episodes' if (folder / 'train_episodes').is_dir() else folder
    if not folder.is_dir():
        raise UsageError(f'{folder} is no folder: expected a logdir or a folder of episodes')
    files = disk.list_files(folder)
    if len(files) < 2:
        raise UsageError(f'{folder} holds {len(files)} episodes: expected at least two')
    env = build.build_env(config, config.task, seeding.derive(config.seed, 'envs'))
    obs_space, act_space = env.obs_space, env.act_space
    env.close()
    replay = Replay(
        None,
        capacity=0,
        past_end=config.replay.past_end,
        prioritize_ends=config.replay.prioritize_ends,
        seed=seeding.derive(config.seed, 'replay'),
        minlen=config.replay.minlen,
        maxlen=config.replay.maxlen,
        discrete=hasattr(act_space, 'n'),
    )
    scored = []
    for file, kept in zip(files, insight.held_out([file.serial for file in files]), strict=True):
        arrays = disk.read_episode(file)
        if kept:
            scored.append(arrays)
        else:
            replay.append(from_arrays(arrays, file.serial))
    with devices.hidden_native_stderr():
        device = devices.configure(config.precision, device=config.device, say=_say)
        agent: Any = build.build_agent(config, obs_space, act_space, device)
    rows = sum(len(arrays['reward']) for arrays in scored)
    print(
        f'{len(files) - len(scored)} episodes to learn from, {len(scored)} held out ({rows} rows)'
    )
    batches = Batches(replay, config.dataset.batch, config.dataset.length, agent.to_device)
    state, done, seconds = None, 0, 0.0
    losses: dict[str, list[float]] = {}
    while True:
        means = {name: float(np.mean(values)) for name, values in losses.items()}
        speed = {'updates/s': (done - 1) / seconds} if seconds else {}
        print(
            line({'updates': done, **speed, **means, **looking.look_at(agent, scored)}), flush=True
        )
        if done >= arguments.updates:
            break
        losses = {'image_loss': [], 'model_kl': []}
        for _ in range(min(arguments.every or arguments.updates, arguments.updates - done)):
            begin = time.perf_counter()
            state, metrics = agent.train_model(batches.take(), state)
            for name, values in losses.items():
                values.append(float(metrics.get(name, np.nan)))
            seconds += time.perf_counter() - begin if done else 0.0  # The first is compiled.
            done += 1
    batches.close()
    return 0


def line(values: Mapping[str, float]) -> str:
    """Numbers by name in one line; errors first of the row itself, then 5 and 15 steps ahead."""
    found = {name.removeprefix('model_error/'): value for name, value in values.items()}
    parts = []
    for name, value in found.items():
        if not name.endswith(('_5', '_15')):
            ahead = [found[name + steps] for steps in ('_5', '_15') if name + steps in found]
            parts.append(f'{name} ' + '/'.join(f'{number:.4g}' for number in (value, *ahead)))
    return '  '.join(parts)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; 0 done, 1 crashed, 2 bad input."""
    return exit_code_of(run, argv, 'Interrupted.')


if __name__ == '__main__':
    sys.exit(main())
