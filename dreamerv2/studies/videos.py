"""Videos of checkpoints for the report of a study, made by the evaluation command."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path

from dreamerv2.config import Config
from dreamerv2.run import checkpoint
from dreamerv2.studies.process import PACKAGE


def has_checkpoint(logdir: Path) -> bool:
    """Whether a run has a checkpoint to evaluate."""
    return bool(checkpoint.available(logdir / 'checkpoints'))


def record_best(logdir: Path, folder: Path, suffix: str = 'mp4') -> str:
    """Plays one episode on each level of a run with its best checkpoint by evaluation.

    Without an evaluation, the newest. Existing videos are kept.

    Args:
        logdir: of the run.
        folder: for the video.
        suffix: `mp4` or `gif`.

    Returns:
        The outcome, in words.
    """
    saved = checkpoint.load_best(logdir / 'checkpoints') or checkpoint.find(logdir)
    out = folder / f'{saved.frames}.{suffix}'
    return f'{out} exists' if out.exists() else record(saved, out)


def record(saved: checkpoint.Checkpoint, out: Path) -> str:
    """Plays a checkpoint and writes the video; returns the outcome, in words."""
    logdir = saved.path.parents[1].absolute()
    out.parent.mkdir(exist_ok=True)
    unfinished = out.with_name(f'unfinished-{os.getpid()}-{out.name}').absolute()
    config = Config.load(saved.config_path)
    command = ['dreamerv2.evaluate', logdir, '--step', saved.frames, '--tasks', config.task]
    command += ['--episodes', 1, '--policy', config.eval_policy, '--video', unfinished]
    try:
        # The folder where Python finds this copy of the package first.
        ended = subprocess.run(
            [sys.executable, '-m', *map(str, command)],
            capture_output=True,
            text=True,
            check=False,
            cwd=PACKAGE.parent,
        )
        if ended.returncode == 0 and unfinished.exists():
            os.replace(unfinished, out)
            return str(out)
    finally:
        with contextlib.suppress(OSError):
            unfinished.unlink()
    return f'no video: {(ended.stderr.strip().splitlines() or ["no output"])[-1]}'
