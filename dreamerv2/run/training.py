"""One training run in a logdir: the loop joined with logger, checkpoints and evaluation."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from dreamerv2.cli import FINISHED
from dreamerv2.config import Config
from dreamerv2.envs.workers import Workers
from dreamerv2.errors import UsageError
from dreamerv2.paths import expand_home
from dreamerv2.replay import Replay
from dreamerv2.run import build, checkpoint, devices, evaluation
from dreamerv2.run.background import Background
from dreamerv2.run.build import Parts, default_parts, make_agent, warm_up
from dreamerv2.run.callbacks import Run
from dreamerv2.run.checkpoint import Checkpoint, start_from, store
from dreamerv2.run.checkpoint.snapshots import Snapshots
from dreamerv2.run.collector import Collector
from dreamerv2.run.logdir import folder, lock
from dreamerv2.run.logdir.provenance import describe_run
from dreamerv2.run.metrics import jsonl
from dreamerv2.run.metrics.logger import Logger, MetricMeans
from dreamerv2.run.metrics.tensorboard import EventFile
from dreamerv2.run.metrics.terminal import ProgressDisplay
from dreamerv2.run.training_run import TrainingRun
from dreamerv2.run.types import Agent, Policy
from dreamerv2.run.updater import Batches
from dreamerv2.signals import StopRequest

PartsMaker = Callable[[Callable[[str], Any]], Parts]


def train(
    config: Config,
    parts: PartsMaker | None = None,
    *,
    command: Sequence[str] | None = None,
) -> int:
    """Trains until the budget is used or a stop is requested; resumes the run in the logdir.

    A start that is refused leaves the logdir as it was: nothing is written before environment,
    networks and checkpoint are known to fit.

    Args:
        config: the configuration.
        parts: makes the parts of the run, given a function that prints a line; by default those of
        the configuration.
        command: the command line, for the record.

    Returns:
        The exit code: 0 finished, 75 stopped with a checkpoint.

    Raises:
        UsageError: the logdir cannot be used, is in use, or holds a run with other settings; or
            the configuration names something that does not exist or does not fit.
    """
    if config.init.dry_run:
        check(config, parts, say=print)
        return FINISHED
    path = expand_home(config.logdir)
    with contextlib.ExitStack() as stack:
        parent = _check_request(config, path)
        stack.enter_context(folder.opened(path))
        notes = folder.check_same_run(path, config)
        if _nothing_to_do(config, path):
            return FINISHED
        stop = stack.enter_context(StopRequest())
        held = stack.enter_context(lock.Lock(path))
        store.restore_replaced(path / 'checkpoints')
        saved = checkpoint.load_newest(path / 'checkpoints')
        display = ProgressDisplay(config.steps * config.action_repeat, saved.frames if saved else 0)
        stack.callback(display.close)
        for note in notes:
            display.line(note)
        origin = start_from.describe_parent(parent) if parent is not None else None
        if told := origin or start_from.recorded_parent(path / 'provenance.json'):
            display.line(start_from.parent_line(told))
        made, envs = _make_envs(config, parts, display.line)
        stack.callback(envs.close)
        for line in envs.describe().get('overview', ()):
            display.line(line)
        fits = threading.Event()

        def ready_agent() -> tuple[Agent, devices.Device]:
            agent, device = make_agent(config, made.agent, envs, saved, parent, display.line)
            fits.set()
            warm_up(config, agent, envs)
            return agent, device

        # The thread that imports TensorFlow starts before everything that can be done meanwhile.
        maker = Background(ready_agent, 'agent')
        stack.callback(maker.wait)
        # Reading episodes that are already there may move damaged ones aside, so wait with it. In a
        # new logdir episodes are collected meanwhile, and kept in memory.
        fresh = saved is None and not (path / 'train_episodes').exists()
        while not fresh and not fits.wait(0.2):
            maker.check()
        replay = build.build_replay(config, path / 'train_episodes', envs, hold=fresh)
        stack.callback(replay.close)
        evaluator = evaluation.Evaluator(
            made.evaluation, longest=evaluation.longest_episode(config.time_limit, config.steps)
        )
        stack.callback(evaluator.close)
        logger = stack.enter_context(Logger())
        plan = build.build_plan(config, evaluates=bool(evaluator.levels))
        collector = Collector(
            config, plan, envs, build.turns(config), replay, display, logger, made.callbacks
        )
        means = MetricMeans()
        seen = Run(collector.progress, config.action_repeat, means, stop.request)
        for callback in made.callbacks:
            callback.run = seen
        snapshots = Snapshots(
            collector.progress, replay, collector.driver, collector.random_policy, evaluator, means
        )
        # Restoring may add a step; the log is kept only up to the checkpoint.
        begin = _Beginning(path, config, saved, replay, logger, collector.frames)
        if saved is not None:
            snapshots.restore(saved, display.line)
            display.line(f'Resuming from {saved.path} ({collector.frames} frames).')
        # Read now: a prefill that is stopped may leave environments in the middle of a step.
        environment = envs.describe()
        goes_on = collector.progress.prefilled
        if not goes_on:
            _prefill(config, collector, snapshots, maker, fits, begin, stop)
        display.phase('starting')
        agent, device = maker.result()
        seen.agent = agent
        if not stop():
            collector.check_experience()
        begin()
        description = describe_run(
            seed=config.seed,
            environment=environment,
            levels=envs.levels,
            device=dataclasses.asdict(device),
            parent=origin,
            command=command,
        )
        provenance = folder.save_provenance(path, description, collector.frames)
        dataset = config.dataset
        batches = Batches(replay, dataset.batch, dataset.length, agent.to_device)
        stack.callback(batches.close)
        if snapshots.batch is not None:
            batches.set_state(snapshots.batch)
        if goes_on:  # Otherwise the policy starts fresh, or the prefill is not over.
            snapshots.restore_policy(agent)
        run = TrainingRun(
            config,
            path,
            collector=collector,
            evaluator=evaluator,
            agent=agent,
            batches=batches,
            updater=build.build_updater(config, agent, batches.take, device),
            means=means,
            snapshots=snapshots,
            provenance=provenance,
            lock=held,
            stop=stop,
        )
        return run.run()


def _prefill(
    config: Config,
    collector: Collector,
    snapshots: Snapshots,
    maker: Background[tuple[Agent, devices.Device]],
    fits: threading.Event,
    begin: _Beginning,
    stop: StopRequest,
) -> None:
    """Plays the prefill, at random while the agent is being built.

    Starts writing as soon as the agent `fits` and there is something to learn from: nothing is left
    behind if the run is refused before.
    """
    collector.display.phase('prefill')
    policy: Policy = collector.random_policy
    if config.prefill_policy == 'init':
        agent, _ = maker.result()
        snapshots.restore_policy(agent)
        policy = functools.partial(agent.policy, mode='train')

    def should_stop() -> bool:
        maker.check()
        length = config.dataset.length
        if not begin.made and fits.is_set() and collector.replay.can_sample(length):
            begin()
        return stop()

    collector.prefill(policy, should_stop)


class _Beginning:
    """The first write to a logdir, made once; from then on the run is not refused.

    Args:
        path: the logdir.
        config: of the new or resumed run.
        saved: the checkpoint it resumes from.
        replay: allowed to write from then on.
        logger: likewise.
        frames: where a run without a checkpoint starts.

    Attributes:
        made: whether it has been called.
    """

    def __init__(
        self,
        path: Path,
        config: Config,
        saved: Checkpoint | None,
        replay: Replay,
        logger: Logger,
        frames: int,
    ) -> None:
        self._path = path
        self._config = config
        self._saved = saved
        self._replay = replay
        self._logger = logger
        self._start = saved.frames if saved else frames
        self.made = False

    def __call__(self) -> None:
        if self.made:
            return
        self.made = True
        checkpoint.tidy(self._path / 'checkpoints', self._saved)
        folder.save_config(self._path, self._config)
        self._replay.release()
        jsonl.truncate(self._path, self._start)
        self._logger.open([jsonl.JsonLines(self._path), EventFile(self._path, self._start)])


def check(
    config: Config, parts: PartsMaker | None = None, *, say: Callable[[str], Any] | None = None
) -> None:
    """Raises the UsageError with which `train` would refuse to start; changes nothing on disk.

    Args:
        config: the configuration.
        parts: as of `train`.
        say: prints what a run would take from the checkpoint of `--init.from` and the device it
        would use; on standard error by default.
    """
    say = say or functools.partial(print, file=sys.stderr, flush=True)
    path = expand_home(config.logdir)
    parent = _check_request(config, path)
    with folder.opened(path):
        for note in folder.check_same_run(path, config):
            say(note)
        if _nothing_to_do(config, path, say):
            return
        if holder := lock.holder_of(path):
            raise UsageError(lock.in_use(path, holder))
        saved = checkpoint.load_newest(path / 'checkpoints', say)
    if parent is not None:
        say(start_from.parent_line(start_from.describe_parent(parent)))
    made, envs = _make_envs(config, parts, say)
    try:
        make_agent(config, made.agent, envs, saved, parent, say)
    finally:
        envs.close()


def _check_request(config: Config, path: Path) -> Checkpoint | None:
    """Checks a configuration before anything is made; returns the checkpoint it starts from.

    Raises:
        UsageError: the budget is below the prefill, or there is no such checkpoint.
    """
    if config.prefill > config.steps:
        raise UsageError(
            f'prefill {config.prefill} is above steps {config.steps}: nothing would be learned; '
            f'use --prefill {max(config.steps // 10, 1)} or more steps.'
        )
    if not config['init.from'] or checkpoint.available(path / 'checkpoints'):
        return None
    parent = start_from.find_parent(config['init.from'], path)
    choice = start_from.choice_of(config)
    start_from.check_actions(Config.load(parent.config_path), config, choice)
    return parent


def _nothing_to_do(config: Config, path: Path, say: Callable[[str], Any] | None = None) -> bool:
    done = folder.finished(path)
    if not done or done['step'] < config.steps * config.action_repeat:
        return False
    line = f'{path} is finished ({done["step"]} frames): nothing to do.'
    (say or functools.partial(print, flush=True))(line)
    return True


def _make_envs(
    config: Config, parts: PartsMaker | None, say: Callable[[str], Any]
) -> tuple[Parts, Workers]:
    """The parts of a run and its environments, checked against encoder and decoder."""
    made = (parts or functools.partial(default_parts, config))(say)
    envs = made.envs()
    try:
        build.check_keys(config, envs.obs_space)
    except BaseException:
        envs.close()
        raise
    return made, envs
