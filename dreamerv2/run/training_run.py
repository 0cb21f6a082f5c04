"""A training run: what is done at each event of the loop, and what a checkpoint of it holds."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from dreamerv2.config import Config
from dreamerv2.envs.workers import Workers
from dreamerv2.errors import UsageError
from dreamerv2.replay import Replay
from dreamerv2.run import (
    build,
    checkpoint,
    devices,
    evaluation,
    logdir,
    loop,
    model_evaluation,
    random_streams,
)
from dreamerv2.run.background import Background
from dreamerv2.run.batches import Batches
from dreamerv2.run.checkpoint.saver import Saver
from dreamerv2.run.checkpoint.snapshots import Snapshots
from dreamerv2.run.driver import Driver
from dreamerv2.run.logdir import headroom
from dreamerv2.run.logdir.lock import Lock
from dreamerv2.run.logdir.provenance import describe_run
from dreamerv2.run.loop import Every
from dreamerv2.run.metrics.episode_summary import episode_metrics
from dreamerv2.run.metrics.logger import Logger, MetricMeans, Throughput
from dreamerv2.run.metrics.terminal import ProgressDisplay
from dreamerv2.run.random_policy import RandomPolicy
from dreamerv2.run.types import Agent, Policy
from dreamerv2.run.updater import Beside, InTurn, Updater
from dreamerv2.signals import StopRequest

FINISHED = 0
STOPPED = 75
SKIPS = 'skipped_updates', 'skipped_in_a_row'
LONG_EPISODE = 10_000  # Agent steps of one environment after which it is said that none has ended.
EXAMPLE_LIMIT = 1000  # A time limit to propose, in agent steps.
LOOKED_AT = 1000  # Rows of an evaluation by which the world model is measured.
MOST_SKIPS = 100  # Updates in a row that may be left out because they were not finite.


class TrainingRun:
    """The state of a run, and what is done at each event of the loop."""

    def __init__(
        self,
        config: Config,
        path: Path,
        envs: Workers,
        replay: Replay,
        evaluator: evaluation.Evaluator,
        maker: Background[tuple[Agent, devices.Device]],
        display: ProgressDisplay,
        lock: Lock,
        stop: StopRequest,
        logger: Logger,
    ) -> None:
        self.config = config
        self.path = path
        self.repeat = config.action_repeat
        self.envs = envs
        self.replay = replay
        self.evaluator = evaluator
        self.maker = maker
        self.display = display
        self.lock = lock
        self.stop = stop
        self.plan = build.build_plan(config)
        if not evaluator.levels:
            self.plan = dataclasses.replace(self.plan, eval_every=0)
        self.driver = Driver(
            envs,
            turns=build.turns(config),
            on_step=[replay.add_step],
            on_reset=[replay.drop_partial],
            video_keys=config.log_keys_video,
        )
        # Episodes without a checkpoint are of a run that ended before its first one: they count,
        # and the random steps to come are others than those.
        found = int(replay.stats['total_steps'])
        self.progress = loop.Progress(self.plan, found)
        generator = random_streams.generator(config.seed, 'random_policy', found)
        self.random_policy = RandomPolicy(envs.act_space, generator)
        self.videos = Every(self.plan.eval_every)
        self.means = MetricMeans()
        self.snapshots = Snapshots(
            self.progress, replay, self.driver, self.random_policy, evaluator, self.means
        )
        self.logger = logger
        self.begun_at = self.frames
        # When the run may begin to write to its logdir, and how.
        self.fits: Callable[[], bool] = lambda: True
        self.begin: Callable[[], Any] = lambda: None
        self._begun = False
        self._unended = 0  # Agent steps since an episode last ended.
        self._said_unended = False
        self.agent: Agent
        self.provenance = b''
        self.parent: dict[str, Any] | None = None
        self.updater: Updater
        self.batches: Batches
        self.saver = Saver()
        self.skips: dict[str, Any] = {}
        self.evaluated: tuple[int, float | None] = (-1, None)  # frames, mean return
        self.throughput = Throughput(self.repeat)

    @property
    def frames(self) -> int:
        """The logged step: agent steps times the action repeat."""
        return self.progress.step * self.repeat

    def run(self, command: Sequence[str] | None = None) -> int:
        """The whole run; returns the exit code."""
        # Asked for first: a prefill that is stopped may leave environments at their steps.
        environment = self.envs.describe()
        prefilled = self.progress.prefilled
        if not prefilled:
            self._prefill()
        self.display.phase('starting')
        self.agent, device = self.maker.result()
        if not self.stop():
            self._check_experience()
        self._begin()
        description = describe_run(
            seed=self.config.seed,
            environment=environment,
            levels=self.envs.levels,
            device=dataclasses.asdict(device),
            parent=self.parent,
            command=command,
        )
        self.provenance = logdir.save_provenance(self.path, description, self.frames)
        self._warn_of_shortages()
        self.display.phase('training')
        self.throughput.start(self.progress.step, self.progress.updates)
        dataset = self.config.dataset
        with contextlib.ExitStack() as stack:
            stack.callback(self.saver.close)
            self.batches = Batches(self.replay, dataset.batch, dataset.length, self.agent.to_device)
            stack.callback(self.batches.close)
            if self.snapshots.batch is not None:
                self.batches.set_state(self.snapshots.batch)
            if prefilled:  # Else the policy starts anew, or is in the middle of the prefill.
                self.snapshots.restore_policy(self.agent)
            if self.stop():
                self._save()
            else:
                self._interact(device)
            self.saver.wait()
        if not self.progress.prefilled or self.progress.step < self.plan.steps:
            self.display.line(
                f'Stopped by {self.stop.signal_name} at {self.frames} frames, checkpoint saved: '
                'start again with the same command to go on.'
            )
            return STOPPED
        logdir.mark_finished(self.path, self.frames, self.progress.updates)
        self.display.line(f'Finished: {self.frames} frames in {self.path}')
        return FINISHED

    def _warn_of_shortages(self) -> None:
        for line in headroom.shortages_of_run(
            self.path,
            steps=self.plan.steps - self.progress.step,
            stats=self.replay.stats,
            capacity=self.config.replay.capacity,
            keep_on_disk=self.config.replay.keep_on_disk,
            checkpoint=sum(value.nbytes for value in self.agent.get_state().values()),
        ):
            self.display.line(line)

    def restore(self, saved: checkpoint.Checkpoint | None) -> None:
        """Takes everything but the agent from a checkpoint, if there is one."""
        if saved is None:
            return
        self.snapshots.restore(saved, self.display.line)
        self.display.line(f'Going on from {saved.path} ({self.frames} frames).')

    def _prefill(self) -> None:
        stats = self.replay.stats
        owed = max(0, self.plan.prefill - int(stats['total_steps'] + stats['partial_steps']))
        self.display.phase('prefill')
        length = self.config.dataset.length

        def ended() -> bool:
            return self.replay.stats['loaded_episodes'] > 0

        def should_stop() -> bool:
            self.maker.check()
            # What is collected until then is of no use if the run is refused.
            if not self._begun and self.fits() and self.replay.can_sample(length):
                self._begin()
            return self.stop()

        policy: Policy = self.random_policy
        if self.config.prefill_policy == 'init':
            agent, _ = self.maker.result()
            self.snapshots.restore_policy(agent)
            policy = functools.partial(agent.policy, mode='train')
        events = loop.prefill(
            self.driver,
            policy,
            self.progress,
            steps=owed,
            most=self.plan.steps,
            ready=lambda: ended() or self.replay.can_sample(length),
            ended=ended,
            should_stop=should_stop,
        )
        self._handle(events)

    def _begin(self) -> None:
        """Begins to write to the logdir."""
        if not self._begun:
            self._begun = True
            self.begin()

    def _check_experience(self) -> None:
        """Raises UsageError where the prefill has brought nothing to learn from."""
        if self.replay.can_sample(self.config.dataset.length):
            return
        if self.replay.stats['loaded_episodes']:
            self.replay.sample(1, self.config.dataset.length)  # Raises, and says why.
        raise UsageError(
            f'No episode of {self.config.task} has ended in {self.progress.step} agent steps, so '
            f'there is nothing to learn from: cut episodes off with --time_limit {EXAMPLE_LIMIT}, '
            'learn from unfinished ones with --replay.ongoing True, or raise --steps.'
        )

    def _interact(self, device: devices.Device) -> None:
        updater: Updater = InTurn(self.agent, self.batches.take)
        if self.config.async_collect:
            updater = Beside(self.agent, self.batches.take, build.learns_ahead(self.config, device))
        with contextlib.closing(updater) as self.updater:
            events = loop.interact(
                self.driver,
                lambda obs, state: self.agent.policy(obs, state, mode='train'),
                self.updater,
                self.progress,
                self.plan,
                should_stop=self.stop,
            )
            self._handle(events)

    def _handle(self, events: Iterator[loop.Event]) -> None:
        for event in events:
            match event:
                case loop.Stepped(transitions):
                    self._watch_for_end(transitions)
                    self.display.update(self.frames, self.progress.updates)
                    self.saver.check()
                    if self.config.async_collect and self.progress.prefilled:
                        self.means.add({'policy_staleness': self.updater.staleness})
                case loop.Updated(metrics):
                    self.skips = {name: metrics[name] for name in SKIPS if name in metrics}
                    self.means.add({k: v for k, v in metrics.items() if k not in SKIPS})
                case loop.EpisodeEnded():
                    self._episode(event)
                case loop.LogDue():
                    self._log()
                    self._check_updates()
                case loop.EvaluationDue():
                    self._evaluate()
                case loop.SaveDue():
                    self._check_updates()
                    self._save()

    def _watch_for_end(self, transitions: int) -> None:
        """Says it once where no episode ends for long, or for the whole of a prefill."""
        self._unended += transitions
        patience = LONG_EPISODE * len(self.envs)
        if not self.progress.prefilled:  # A short prefill may well lie within one episode.
            patience = min(patience, max(self.plan.prefill, EXAMPLE_LIMIT))
        if self._unended >= patience and not self._said_unended:
            self._said_unended = True
            self.display.line(
                f'No episode of {self.config.task} has ended in {self._unended} agent steps. If '
                f'its episodes may go on for ever, stop the run and start anew with --time_limit '
                f'{EXAMPLE_LIMIT}.'
            )

    def _episode(self, event: loop.EpisodeEnded) -> None:
        self._unended = 0
        episode = event.episode
        config = self.config
        scalars = episode_metrics(
            episode,
            sum_keys=config.log_keys_sum,
            mean_keys=config.log_keys_mean,
            max_keys=config.log_keys_max,
        )
        if event.prefill:
            scalars['train_prefill'] = 1
        else:
            self.display.episode(episode.score)
        videos = {}
        if not event.prefill and self.videos.advance(self.progress.step):
            videos = {f'train_policy_{key}': frames for key, frames in episode.videos.items()}
        self.logger.write(self.frames, scalars, videos)

    def _log(self) -> None:
        self.lock.check()
        scalars = self.means.take()
        broken = [k for k, v in scalars.items() if k.endswith('_loss') and not math.isfinite(v)]
        if broken:
            self.display.line(
                f'Not finite at {self.frames} frames: {", ".join(broken)}. Such updates are left '
                f'out ({int(self.skips.get("skipped_updates", 0))} so far).'
            )
        scalars.update({name: int(value) for name, value in self.skips.items()})
        scalars.update(self.throughput.take(self.progress.step, self.progress.updates))
        scalars['updates'] = self.progress.updates
        scalars['episodes'] = self.progress.episodes
        for name, value in self.replay.stats.items():
            own = name in ('absorbing_fraction', 'filler_fraction')
            scalars[name if own else f'replay_{name}'] = value
        videos = self.agent.report(self.batches.last) if self.batches.last is not None else {}
        self.logger.write(self.frames, scalars, videos)

    def _evaluate(self) -> None:
        self.display.phase('evaluation')
        mode = evaluation.POLICY_MODES[self.config.eval_policy]
        played = self.config.eval_eps * len(self.evaluator.levels)
        recorder = model_evaluation.Recorder(max(LOOKED_AT // played, 2))
        with self.throughput.paused():
            episodes = self.evaluator.evaluate(
                lambda obs, state: self.agent.policy(obs, state, mode=mode),
                self.config.eval_eps,
                video_keys=self.config.log_keys_video,
                on_step=[recorder] if model_evaluation.has_boxes(self.envs.obs_space) else [],
                should_stop=self.stop,
                say=self.display.line,
                progress=self._evaluating,
            )
            measures = {}
            if episodes and recorder.episodes:
                measures = model_evaluation.look_at(
                    self.agent, recorder.episodes, self.config.discount
                )
        self.display.phase('training')
        if episodes is None:
            return
        videos = {f'eval_policy_{key}': frames for key, frames in episodes[0].videos.items()}
        metrics = {**evaluation.evaluation_metrics(episodes), **measures}
        self.evaluated = self.frames, metrics['eval_return']
        self.logger.write(self.frames, metrics, videos)
        self.display.line(evaluation.summary_line(episodes, self.frames))

    def _evaluating(self, level: str, played: int, steps: int) -> None:
        total = self.config.eval_eps * len(self.evaluator.levels)
        self.display.evaluating(level, played, total, steps)

    def _check_updates(self) -> None:
        """Ends the run where nothing was learned for long; the last checkpoint stays as it is."""
        in_a_row = int(self.skips.get('skipped_in_a_row', 0))
        if in_a_row >= MOST_SKIPS:
            self.saver.wait()
            newest = checkpoint.available(self.path / 'checkpoints')
            where = f'the last checkpoint is {newest[-1]}' if newest else 'there is no checkpoint'
            raise UsageError(
                f'{in_a_row} updates in a row were not finite, up to {self.frames} frames; '
                f'{where}: go on from there with --accept_changes True and a lower '
                'model_opt.lr, or --precision float32.'
            )

    def _save(self) -> None:
        self.lock.check()
        files = {
            'config.yaml': (self.path / 'config.yaml').read_bytes(),
            'provenance.json': self.provenance,
        }
        evaluated, score = self.evaluated
        save = self.snapshots.take(
            self.path / 'checkpoints',
            self.frames,
            self.agent,
            self.batches,
            files,
            score if evaluated == self.frames else None,
        )

        def write() -> None:
            self.logger.flush()  # What was logged before a checkpoint is on disk with it.
            save()

        self.saver.start(write)
