"""Plays an episode with the best run of each stage of a study: `experiments/videos.py ROOT`.

The best run is that with the highest normalised score at its end. Its best checkpoint by evaluation
(the newest, where there was none) plays one episode on each of its levels, as its evaluations do.
The video goes to `videos/` in its logdir, and `experiments/report.py` takes it from there. What is
there already is not made again.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import pathlib
import subprocess
import sys
from collections.abc import Sequence

import studies  # noqa: F401  so that this clone is used

from dreamerv2.analysis import study
from dreamerv2.analysis.command_line import Parser, exit_code
from dreamerv2.analysis.logdirs import Run
from dreamerv2.analysis.report import videos
from dreamerv2.config import Config
from dreamerv2.paths import expand_home
from dreamerv2.run import checkpoint

EVALUATE = pathlib.Path(__file__).resolve().parents[1] / 'dreamerv2' / 'evaluate.py'


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit code: 0, or 2 with one line on standard error."""
    return exit_code('videos', run, argv)


def run(argv: Sequence[str] | None = None) -> None:
    """Makes the videos of a study. Raises UsageError on the user's mistakes."""
    parser = Parser(prog='videos', description='Videos of the best run of each stage of a study.')
    parser.add_argument('root', metavar='ROOT', type=pathlib.Path, help='folder with the logdirs')
    parser.add_argument('--format', choices=('mp4', 'gif'), default='mp4')
    args: argparse.Namespace = parser.parse_args(argv)
    data = study.read_study(expand_home(args.root))
    for place, best, _ in videos.best_runs(data, has_checkpoint):
        root = best.path / 'checkpoints'
        saved = checkpoint.load_best(root) or checkpoint.find(best.path)
        out = best.path / videos.VIDEOS / f'{saved.frames}.{args.format}'
        if out.exists():
            print(f'{place}: {out} is there')
        else:
            print(f'{place}: {record(saved, out)}', flush=True)


def has_checkpoint(candidate: Run) -> bool:
    """Whether a run has a checkpoint to play with."""
    return bool(checkpoint.available(candidate.path / 'checkpoints'))


def record(saved: checkpoint.Checkpoint, out: pathlib.Path) -> str:
    """Plays a checkpoint and writes the video; returns what came of it, in words."""
    logdir = saved.path.parents[1]
    out.parent.mkdir(exist_ok=True)
    unfinished = out.with_name(f'unfinished-{os.getpid()}-{out.name}')
    config = Config.load(saved.config_path)
    command = [EVALUATE, logdir, '--step', saved.frames, '--tasks', config.task]
    command += ['--episodes', 1, '--policy', config.eval_policy, '--video', unfinished]
    try:
        ended = subprocess.run(
            [sys.executable, *map(str, command)], capture_output=True, text=True, check=False
        )
        if ended.returncode == 0 and unfinished.exists():
            os.replace(unfinished, out)
            return str(out)
    finally:
        with contextlib.suppress(OSError):
            unfinished.unlink()
    return f'no video: {(ended.stderr.strip().splitlines() or ["no output"])[-1]}'


if __name__ == '__main__':
    sys.exit(main())
