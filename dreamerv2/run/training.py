"""One training run in a logdir: the loop joined with logger, checkpoints and evaluation."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from dreamerv2.config import Config
from dreamerv2.envs.contract import overview
from dreamerv2.run import (
    build,
    checkpoint,
    evaluation,
    inheritance,
    jsonl,
    logdir,
)
from dreamerv2.run.background import Background
from dreamerv2.run.interrupt import StopRequest
from dreamerv2.run.lock import Lock
from dreamerv2.run.logging import Logger
from dreamerv2.run.parts import Parts, default_parts, ready_agent
from dreamerv2.run.tensorboard import EventFile
from dreamerv2.run.terminal import ProgressDisplay
from dreamerv2.run.training_run import FINISHED, TrainingRun


def train(
    config: Config,
    parts: Callable[[Callable[[str], Any]], Parts] | None = None,
    *,
    command: Sequence[str] | None = None,
) -> int:
    """Trains until the budget is used or a stop is asked for; goes on where the logdir is.

    Args:
        config: the configuration.
        parts: makes the parts of the run, given what prints a line; by default those that the
            configuration names.
        command: the command line, for the record.

    Returns:
        The exit code: 0 finished, 75 stopped with a checkpoint.

    Raises:
        UsageError: the logdir cannot be used, is in use, or holds a run with other settings; or
            the configuration names something that does not exist.
    """
    path = Path(config.logdir).expanduser()
    if config.init.dry_run:
        _show_inheritance(config, path, parts)
        return FINISHED
    repeat = config.action_repeat
    parent = None
    if config['init.from'] and not checkpoint.available(path / 'checkpoints'):
        parent = inheritance.find_parent(config['init.from'], path)
    logdir.make_logdir(path)
    notes = logdir.check_same_run(path, config)
    done = logdir.finished(path)
    if done and done['step'] >= config.steps * repeat:
        print(f'{path} is finished ({done["step"]} frames): nothing to do.', flush=True)
        return FINISHED
    with contextlib.ExitStack() as stack:
        stop = stack.enter_context(StopRequest())
        lock = stack.enter_context(Lock(path))
        saved = checkpoint.load_newest(path / 'checkpoints', set_aside=True)
        display = ProgressDisplay(config.steps * repeat, saved.frames if saved else 0)
        stack.callback(display.close)
        for note in notes:
            display.line(note)
        if parent is not None:
            display.line(inheritance.parent_line(inheritance.describe_parent(parent)))
        elif origin := inheritance.recorded_parent(path / 'provenance.json'):
            display.line(inheritance.parent_line(origin))
        made = (parts or functools.partial(default_parts, config))(display.line)
        envs = made.envs()
        stack.callback(envs.close)
        logdir.save_config(path, config)
        for line in overview(envs.obs_space, envs.act_space, envs.describe()):
            display.line(line)
        # The thread that imports TensorFlow starts before everything that it need not wait for.
        maker = Background(
            lambda: ready_agent(config, made.agent, envs, saved, parent, display.line), 'agent'
        )
        stack.callback(maker.wait)
        replay = build.build_replay(config, path / 'train_episodes', envs)
        stack.callback(replay.close)
        evaluator = evaluation.Evaluator(made.evaluation)
        stack.callback(evaluator.close)
        run = TrainingRun(config, path, envs, replay, evaluator, maker, display, lock, stop)
        run.parent = inheritance.describe_parent(parent) if parent else None
        run.restore(saved)
        # Restoring may count a step more; what was logged is kept up to the checkpoint only.
        start = saved.frames if saved else run.frames
        jsonl.truncate(path, start)
        run.logger = stack.enter_context(Logger([jsonl.JsonLines(path), EventFile(path, start)]))
        return run.run(command)


def _show_inheritance(
    config: Config, path: Path, parts: Callable[[Callable[[str], Any]], Parts] | None
) -> None:
    """Prints what the run would take from the checkpoint, and leaves no trace."""
    parent = inheritance.find_parent(config['init.from'], path)
    print(inheritance.parent_line(inheritance.describe_parent(parent)))
    made = (parts or functools.partial(default_parts, config))(print)
    envs = made.envs()
    try:
        ready_agent(config, made.agent, envs, None, parent)
    finally:
        envs.close()
