"""The outputs that a configuration asks for."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

from dreamerv2.config import Config
from dreamerv2.run.metrics.jsonl import JsonLines
from dreamerv2.run.metrics.logger import Logger, Output
from dreamerv2.run.metrics.mlflow_run import MLflowRun
from dreamerv2.run.metrics.tensorboard import EventFile
from dreamerv2.run.metrics.tracker import TrackedRun, Tracker, check_installed
from dreamerv2.run.metrics.wandb_run import WandbRun, check_wandb


def check_loggers(config: Config) -> None:
    """Raises UsageError where a tracker that the configuration names cannot be used."""
    check_wandb(config.wandb)
    if config.mlflow:
        check_installed('mlflow True', 'mlflow', 'mlflow-skinny')


def make_outputs(config: Config, logdir: Path, step: int) -> list[Output]:
    """What a run logs to, whose `metrics.jsonl` ends at a step, in frames."""
    outputs: list[Output] = [JsonLines(logdir), EventFile(logdir, step)]

    def add(name: str, open_run: Callable[[], TrackedRun]) -> None:
        # In a thread of its own: a checkpoint waits for the others, but not for a tracker.
        outputs.append(Logger([Tracker(name, open_run, logdir)]))

    if config.wandb != 'off':
        add(
            'Weights & Biases',
            functools.partial(
                WandbRun, logdir, config.to_dict(), mode=config.wandb, task=config.task
            ),
        )
    if config.mlflow:
        add('MLflow', functools.partial(MLflowRun, logdir, config.flat, task=config.task))
    return outputs
