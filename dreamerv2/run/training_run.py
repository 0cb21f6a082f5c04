"""A training run that is ready to learn, and what it does at each event of the loop."""

from __future__ import annotations

import contextlib
import math
from pathlib import Path
from typing import Any

import numpy as np

from dreamerv2.cli import FINISHED, STOPPED
from dreamerv2.config import Config
from dreamerv2.errors import UsageError
from dreamerv2.run import checkpoint, evaluation, loop, model_evaluation
from dreamerv2.run.checkpoint.saver import Saver
from dreamerv2.run.checkpoint.snapshots import Snapshots
from dreamerv2.run.checkpoint.store import Score
from dreamerv2.run.collector import Collector
from dreamerv2.run.logdir import folder, headroom
from dreamerv2.run.logdir.lock import Lock
from dreamerv2.run.metrics.logger import MetricMeans, Throughput
from dreamerv2.run.types import Agent, Batch, PolicyState
from dreamerv2.run.updater import Batches, Updater
from dreamerv2.signals import StopRequest

SKIPS = 'skipped_updates', 'skipped_in_a_row'
LOOKED_AT = 1000  # Rows of an evaluation on which the world model is measured.
MOST_SKIPS = 100  # Consecutive updates that may be skipped because they were not finite.


class TrainingRun:
    """A run that is ready to learn.

    Args:
        config: the run's.
        path: its logdir.
        collector: plays the environments; the prefill is complete, unless it was stopped.
        evaluator: plays evaluations.
        agent: acts and learns.
        batches: what it learns from.
        updater: makes its updates.
        means: collects their metrics.
        snapshots: saves the state of all parts.
        provenance: the content of `provenance.json`.
        lock: holds the logdir.
        stop: tells when to end early.
    """

    def __init__(
        self,
        config: Config,
        path: Path,
        *,
        collector: Collector,
        evaluator: evaluation.Evaluator,
        agent: Agent,
        batches: Batches,
        updater: Updater,
        means: MetricMeans,
        snapshots: Snapshots,
        provenance: bytes,
        lock: Lock,
        stop: StopRequest,
    ) -> None:
        self.config = config
        self.path = path
        self.collector = collector
        self.evaluator = evaluator
        self.agent = agent
        self.batches = batches
        self.updater = updater
        self.means = means
        self.snapshots = snapshots
        self.provenance = provenance
        self.lock = lock
        self.stop = stop
        self.plan = collector.plan
        self.progress = collector.progress
        self.replay = collector.replay
        self.display = collector.display
        self.logger = collector.logger
        self.saver = Saver()
        self.skips: dict[str, Any] = {}
        self.evaluated: tuple[int, Score | None] = (-1, None)  # frames, score
        self.throughput = Throughput(config.action_repeat)

    @property
    def frames(self) -> int:
        """The logged step: agent steps times the action repeat."""
        return self.collector.frames

    def run(self) -> int:
        """Learns until the end or a stop, and saves; returns the exit code."""
        self._warn_of_shortages()
        self.display.phase('training')
        self.throughput.start(self.progress.step, self.progress.updates)
        with contextlib.closing(self.saver):
            if self.stop():
                self._save()
            else:
                self._interact()
            self.saver.wait()
        if not self.progress.prefilled or self.progress.step < self.plan.steps:
            self.display.line(
                f'Stopped by {self.stop.signal_name} at {self.frames} frames, checkpoint saved: '
                'the same command resumes from here.'
            )
            return STOPPED
        folder.mark_finished(self.path, self.frames, self.progress.updates)
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

    def _interact(self) -> None:
        events = loop.interact(
            self.collector.driver,
            self._collecting_policy,
            self.updater,
            self.progress,
            self.plan,
            should_stop=self.stop,
        )
        with contextlib.closing(self.updater):
            for event in events:
                self._handle(event)

    def _collecting_policy(self, obs: Batch, state: PolicyState) -> tuple[np.ndarray, PolicyState]:
        until = self.config.expl_until  # 0: for the whole run.
        explores = self.config.expl_behavior != 'greedy' and (not until or self.frames < until)
        return self.agent.policy(obs, state, mode='explore' if explores else 'train')

    def _handle(self, event: loop.Event) -> None:
        match event:
            case loop.Stepped(transitions):
                self.collector.stepped(transitions)
                self.saver.check()
                if self.config.async_collect:
                    self.means.add({'policy_staleness': self.updater.staleness})
            case loop.Updated(metrics):
                self.skips = {name: metrics[name] for name in SKIPS if name in metrics}
                self.means.add({k: v for k, v in metrics.items() if k not in SKIPS})
                for callback in self.collector.callbacks:
                    callback.on_update(metrics)
            case loop.EpisodeEnded():
                self.collector.episode_ended(event)
            case loop.LogDue():
                self._log()
                self._check_updates()
            case loop.EvaluationDue():
                self._evaluate()
            case loop.SaveDue():
                self._check_updates()
                self._save()

    def _log(self) -> None:
        self.lock.check()
        scalars = self.means.take()
        broken = [k for k, v in scalars.items() if k.endswith('_loss') and not math.isfinite(v)]
        if broken:
            self.display.line(
                f'Not finite at {self.frames} frames: {", ".join(broken)}. Such updates are '
                f'skipped ({int(self.skips.get("skipped_updates", 0))} so far).'
            )
        scalars.update({name: int(value) for name, value in self.skips.items()})
        scalars.update(self.throughput.take(self.progress.step, self.progress.updates))
        scalars['updates'] = self.progress.updates
        scalars['episodes'] = self.progress.episodes
        for name, value in self.replay.stats.items():
            own = name in ('absorbing_fraction', 'filler_fraction')
            scalars[name if own else f'replay_{name}'] = value
        videos = self.agent.report(self.batches.last) if self.batches.last is not None else {}
        self._write(scalars, videos)

    def _write(self, metrics: dict[str, Any], videos: dict[str, np.ndarray]) -> None:
        for callback in self.collector.callbacks:
            callback.on_log(metrics)
        self.logger.write(self.frames, metrics, videos)

    def _evaluate(self) -> None:
        self.display.phase('evaluation')
        mode = evaluation.POLICY_MODES[self.config.eval_policy]
        played = self.config.eval_eps * len(self.evaluator.levels)
        recorder = model_evaluation.Recorder(max(LOOKED_AT // played, 2))
        boxes = model_evaluation.has_boxes(self.collector.envs.obs_space)
        with self.throughput.paused():
            episodes = self.evaluator.evaluate(
                lambda obs, state: self.agent.policy(obs, state, mode=mode),
                self.config.eval_eps,
                video_keys=self.config.log_keys_video,
                on_step=[recorder] if boxes else [],
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
        self.evaluated = self.frames, evaluation.score(metrics)
        self._write(metrics, videos)
        self.display.line(evaluation.summary_line(episodes, self.frames))

    def _evaluating(self, level: str, played: int, steps: int) -> None:
        total = self.config.eval_eps * len(self.evaluator.levels)
        self.display.evaluating(level, played, total, steps)

    def _check_updates(self) -> None:
        """Ends the run after too many skipped updates in a row; the last checkpoint is kept."""
        in_a_row = int(self.skips.get('skipped_in_a_row', 0))
        if in_a_row >= MOST_SKIPS:
            self.saver.wait()
            newest = checkpoint.available(self.path / 'checkpoints')
            where = f'the last checkpoint is {newest[-1]}' if newest else 'there is no checkpoint'
            raise UsageError(
                f'{in_a_row} updates in a row were not finite, up to {self.frames} frames; '
                f'{where}: resume from there with --accept_changes True and a lower '
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
            self.logger.flush()  # Everything logged before a checkpoint is on disk when it is.
            save()

        self.saver.start(write)
