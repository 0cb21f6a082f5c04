"""Videos of checkpoints for the report of a study, made by the evaluation command."""

from __future__ import annotations

import os
from pathlib import Path

from dreamerv2.config import Config
from dreamerv2.run import checkpoint
from dreamerv2.studies.process import run_module


def has_checkpoint(logdir: Path) -> bool:
    """Whether a run has a checkpoint to evaluate."""
    return bool(checkpoint.available(logdir / 'checkpoints'))


def record_best(logdir: Path, folder: Path, suffix: str) -> str:
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
    if out.exists():
        return f'{out} exists'
    folder.mkdir(exist_ok=True)
    unfinished = out.with_name(f'unfinished-{os.getpid()}-{out.name}').absolute()
    config = Config.load(saved.config_path)
    flags = ['--step', saved.frames, '--tasks', config.task, '--episodes', 1]
    flags += ['--policy', config.eval_policy, '--video', unfinished]
    try:
        failure = run_module('dreamerv2.evaluate', logdir.absolute(), *flags)
        if not failure and unfinished.exists():
            os.replace(unfinished, out)
            return str(out)
    finally:
        unfinished.unlink(missing_ok=True)
    return f'no video: {failure or "no output"}'
