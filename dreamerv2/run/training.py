"""Training: starts a run in a logdir, or resumes the one that is there."""

from __future__ import annotations

import concurrent.futures
import contextlib
import functools
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from dreamerv2.cli import FINISHED
from dreamerv2.config import Config
from dreamerv2.envs.workers import Workers
from dreamerv2.errors import UsageError
from dreamerv2.paths import expand_home
from dreamerv2.run import build, checkpoint, devices, evaluation
from dreamerv2.run.background import background
from dreamerv2.run.build import Parts
from dreamerv2.run.checkpoint import Checkpoint, start_from
from dreamerv2.run.logdir import folder, lock
from dreamerv2.run.logdir.provenance import describe_run
from dreamerv2.run.metrics.logger import Logger
from dreamerv2.run.metrics.terminal import ProgressDisplay, print_line
from dreamerv2.run.metrics.trackers import check_loggers
from dreamerv2.run.training_run import TrainingRun
from dreamerv2.run.types import Agent, Policy, Say
from dreamerv2.run.updater import Batches, Beside, InTurn
from dreamerv2.signals import StopRequest


def train(config: Config, parts: Parts | None = None, *, command: Sequence[str] = ()) -> int:
    """Trains until the budget is used or a stop is requested; resumes the run in the logdir.

    A start that is refused leaves the logdir as it was: nothing is written before environment,
    networks and checkpoint are known to fit.

    Args:
        config: the configuration.
        parts: what the run is made of; None for what the configuration names.
        command: the command line, for the record; this process's by default.

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
        stopping = stack.enter_context(StopRequest())
        held = stack.enter_context(lock.Lock(path))
        checkpoint.restore_replaced(path / 'checkpoints')
        saved = checkpoint.load_newest(path / 'checkpoints')
        display = ProgressDisplay(config.steps * config.action_repeat, saved.frames if saved else 0)
        stack.callback(display.close)
        for note in notes:
            display.line(note)
        origin = start_from.describe_parent(parent) if parent is not None else None
        if told := origin or start_from.recorded_parent(path / 'provenance.json'):
            display.line(start_from.parent_line(told))
        parts = parts or build.default_parts(config)
        envs = stack.enter_context(contextlib.closing(_make_envs(config, parts)))
        for line in envs.describe().get('overview', ()):
            display.line(line)
        size = config.dataset.batch, config.dataset.length
        fits = threading.Event()

        def ready_agent() -> tuple[Agent, devices.Device]:
            agent, device = _make_agent(config, parts, envs, saved, parent, display.line)
            fits.set()
            example = build.example_batch(envs.obs_space, envs.act_space, *size)
            with devices.hidden_native_stderr():
                agent.warm_up(example, envs=len(envs) // build.turns(config))
            return agent, device

        # The thread that imports TensorFlow starts before everything that can be done meanwhile.
        maker = background(ready_agent, 'agent')
        stack.callback(concurrent.futures.wait, [maker])
        # Reading episodes that are already there may move damaged ones aside, so wait with it. In a
        # new logdir episodes are collected meanwhile, and kept in memory.
        fresh = saved is None and not (path / 'train_episodes').exists()
        while not fresh and not fits.wait(0.2):
            _raise_failure(maker)
        replay = build.build_replay(config, path / 'train_episodes', envs, hold=fresh)
        stack.callback(replay.close)
        longest = evaluation.longest_episode(config.time_limit, config.steps)
        evaluator = evaluation.Evaluator(parts.evaluation, longest)
        stack.callback(evaluator.close)
        logger = stack.enter_context(Logger())
        run = TrainingRun(
            config, path, envs, replay, evaluator, display, logger, stopping, parts.callbacks
        )
        if saved is not None:
            run.restore(saved)
        # Read now: a prefill that is stopped may leave environments in the middle of a step.
        environment = envs.describe()
        goes_on = run.prefilled
        if not goes_on:
            display.phase('prefill')
            policy: Policy = run.random_policy
            if config.prefill_policy == 'init':
                agent, _ = maker.result()
                run.restore_policy(agent)
                policy = functools.partial(agent.policy, mode='train')

            def should_stop() -> bool:
                _raise_failure(maker)
                # Nothing is left behind if the run is refused before there is something to learn.
                if not run.written and fits.is_set() and replay.can_sample(config.dataset.length):
                    run.begin()
                return stopping()

            run.prefill(policy, should_stop)
        display.phase('starting')
        agent, device = maker.result()
        if not stopping():
            run.check_experience()
        run.begin()
        description = describe_run(
            config.seed, environment, envs.levels, vars(device), origin, command or sys.argv
        )
        provenance = folder.save_provenance(path, description, run.frames)
        batches = Batches(replay, *size, agent.to_device)
        stack.callback(batches.close)
        if saved is not None and (ahead := saved.file(checkpoint.BATCH)) is not None:
            batches.set_state(ahead)
        if goes_on:  # Otherwise the policy starts fresh, or the prefill is not over.
            run.restore_policy(agent)
        updater = InTurn(agent, batches.take)
        if config.async_collect:
            updater = Beside(agent, batches.take, build.learns_ahead(config, device))
        return run.learn(agent, batches, updater, held, provenance)


def check(config: Config, parts: Parts | None = None, *, say: Say | None = None) -> None:
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
    parts = parts or build.default_parts(config)
    with contextlib.closing(_make_envs(config, parts)) as envs:
        _make_agent(config, parts, envs, saved, parent, say)


def _check_request(config: Config, path: Path) -> Checkpoint | None:
    """Checks a configuration before anything is made; returns the checkpoint it starts from.

    Raises:
        UsageError: the budget is below the prefill, a logger's package is missing, or there is no
            such checkpoint.
    """
    if config.prefill > config.steps:
        raise UsageError(
            f'prefill {config.prefill} is above steps {config.steps}: nothing would be learned; '
            f'use --prefill {max(config.steps // 10, 1)} or more steps.'
        )
    check_loggers(config)
    if not config['init.from'] or checkpoint.available(path / 'checkpoints'):
        return None
    parent = start_from.find_parent(config['init.from'], path)
    choice = start_from.choice_of(config)
    start_from.check_actions(Config.load(parent.config_path), config, choice)
    return parent


def _nothing_to_do(config: Config, path: Path, say: Say = print_line) -> bool:
    done = folder.finished(path)
    if not done or done['step'] < config.steps * config.action_repeat:
        return False
    say(f'{path} is finished ({done["step"]} frames): nothing to do.')
    return True


def _make_envs(config: Config, parts: Parts) -> Workers:
    """The environments of a run, checked against encoder and decoder."""
    envs = parts.envs()
    try:
        build.check_keys(config, envs.obs_space)
    except BaseException:
        envs.close()
        raise
    return envs


def _make_agent(
    config: Config,
    parts: Parts,
    envs: Workers,
    saved: Checkpoint | None,
    parent: Checkpoint | None,
    say: Say,
) -> tuple[Agent, devices.Device]:
    """The agent with the state of the checkpoint `saved`, or with what it inherits from `parent`.

    Raises UsageError where it does not fit the environment or the checkpoint.
    """
    with devices.hidden_native_stderr():
        agent, device = parts.agent(envs.obs_space, envs.act_space, say)
        if saved is not None:
            try:
                agent.set_state(start_from.whole_state(saved.arrays(), agent.get_state()))
            except ValueError as error:
                raise UsageError(f'{saved.path} does not fit: {error}') from error
        elif parent is not None:
            choice = start_from.choice_of(config)
            state, table = start_from.inherit(parent.arrays(), agent.get_state(), choice)
            agent.set_state(state)
            say(table)
    return agent, device


def _raise_failure(work: concurrent.futures.Future) -> None:
    """Raises the exception of work in the background, if it has failed by now."""
    if work.done():
        work.result()
