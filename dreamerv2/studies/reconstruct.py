"""A world model's reconstructions of a level, as arrays from which figure 8 is drawn.

Plays the level at random, filters every frame through the model, and writes some frames and their
reconstructions to `reconstructions.npz` in the logdir, from which `experiments/figures.py` draws
figure 8 of the thesis. `frames` and `reconstructions` are uint8 `[K, height, width, channels]`.
In Mario `player_error` and `enemies_error` tell over all steps how well those are drawn: squared
error relative to a drawing without them.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dreamerv2.cli import Parser, exit_code_of, whole_number
from dreamerv2.config import Config
from dreamerv2.errors import UsageError

FILE = 'reconstructions.npz'


def run(argv: Sequence[str]) -> int:
    """The command; returns exit code 0. Raises UsageError for a mistake in the command line."""
    parser = Parser(
        prog='reconstruct', description='Writes reconstructions of a level by a world model.'
    )
    parser.add_argument('logdir', type=Path, help='logdir of a training run')
    parser.add_argument('--task', required=True, help='such as mario_1-1')
    parser.add_argument(
        '--steps', type=whole_number(1), default=60, help='agent steps to play (60)'
    )
    parser.add_argument(
        '--frames', type=whole_number(1), default=6, help='number of them to keep (6)'
    )
    parser.add_argument('--out', type=Path, help=f'default: LOGDIR/{FILE}')
    args = parser.parse_args(argv)
    if args.frames > args.steps:
        raise UsageError(f'--frames {args.frames}: expected 1 to --steps {args.steps}')
    from dreamerv2.envs import check_task
    from dreamerv2.run import build, checkpoint, devices, random_streams
    from dreamerv2.run.checkpoint import zoo
    from dreamerv2.run.model_evaluation import KEYS
    from dreamerv2.trained import load_agent

    logdir = zoo.located(args.logdir)
    saved = checkpoint.find(logdir)
    config = Config.load(saved.config_path)
    levels = check_task(args.task, build.task_sets(config)).names
    if len(levels) != 1:
        raise UsageError(f'--task {args.task}: expected one level, such as mario_1-1')
    env: Any = build.build_env(
        config, args.task, random_streams.derive(config.seed, 'reconstruction')
    )
    window = play(env, args.steps, random_streams.generator(config.seed, 'reconstruction'))
    if 'image' not in window:
        raise UsageError(f'--task {args.task} has no pictures')
    say = functools.partial(print, file=sys.stderr, flush=True)
    with devices.hidden_native_stderr():
        device = devices.configure(config.precision, device=config.device, say=say)
        agent = load_agent(saved, config, env, device, config.seed)
    env.close()
    seen = {key: rows for key, rows in window.items() if not key.startswith('log_')}
    images = agent.reconstruct(seen)['image'][0]
    rows = np.linspace(0, len(images) - 1, args.frames).round().astype(int)
    out = args.out or logdir / FILE
    arrays = {
        'frames': window['image'][0][rows],
        'reconstructions': images[rows],
        'level': np.array(levels[0]),
        'step': np.array(saved.frames),
    }
    if set(KEYS) <= set(window):
        frames, players, enemies = (window[key][0] for key in KEYS)
        arrays |= sprite_errors(frames, players, enemies, images)
    with open(out, 'wb') as file:
        np.savez_compressed(file, **arrays)
    print(f'Reconstructions: {out}')
    return 0


def play(env: Any, steps: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Rows played by a random policy, as one window `[1, steps, ...]`."""
    size = getattr(env.act_space, 'n', 0) or env.act_space.shape[0]
    rows: list[dict[str, Any]] = []
    while len(rows) < steps:
        if not rows or rows[-1]['is_last']:
            obs, action = env.reset(), np.zeros(size, np.float32)
        elif hasattr(env.act_space, 'n'):
            choice = int(rng.integers(size))
            obs, action = env.step(choice), np.eye(size, dtype=np.float32)[choice]
        else:
            action = rng.uniform(-1, 1, size).astype(np.float32)
            obs = env.step(action)
        rows.append({**obs, 'action': action})
    return {key: np.stack([row[key] for row in rows])[None] for key in rows[0]}


def sprite_errors(
    frames: np.ndarray, players: np.ndarray, enemies: np.ndarray, images: np.ndarray
) -> dict[str, np.ndarray]:
    """Errors of images uint8 `[steps, ...]` where Mario and enemies are, see `SpriteErrors`.

    What is not there, or hard to tell from its background, is left out.
    """
    from dreamerv2.run.metrics.insight import SpriteErrors

    sprites = SpriteErrors()
    for frame, player, others, image in zip(frames, players, enemies, images, strict=True):
        sprites.add(frame / np.float32(255), player, others, {0: image / np.float32(255)})
    found = sprites.metrics()
    return {f'{x}_error': np.array(found[x]) for x in ('player', 'enemies') if x in found}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    return exit_code_of(run, argv)


if __name__ == '__main__':
    sys.exit(main())
