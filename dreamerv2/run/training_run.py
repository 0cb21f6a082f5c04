"""A training run: plays the prefill, then acts and learns; evaluates, logs and saves on the way.

All counts are agent steps (transitions); the logged step is frames.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import math
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dreamerv2.cli import FINISHED, STOPPED
from dreamerv2.config import Config
from dreamerv2.durable import to_json
from dreamerv2.envs.workers import Workers
from dreamerv2.errors import UsageError
from dreamerv2.replay import Replay
from dreamerv2.run import checkpoint, evaluation, model_evaluation, random_streams
from dreamerv2.run.background import Saver
from dreamerv2.run.build import turns
from dreamerv2.run.callbacks import Callback
from dreamerv2.run.checkpoint import Checkpoint, Score, unfinished
from dreamerv2.run.driver import Driver, RandomPolicy, StepResult
from dreamerv2.run.logdir import folder, headroom
from dreamerv2.run.logdir.lock import Lock
from dreamerv2.run.metrics import jsonl
from dreamerv2.run.metrics.episode_summary import episode_metrics
from dreamerv2.run.metrics.logger import Logger, MetricMeans, Throughput
from dreamerv2.run.metrics.tensorboard import EventFile
from dreamerv2.run.metrics.terminal import ProgressDisplay
from dreamerv2.run.metrics.trackers import trackers
from dreamerv2.run.types import Agent, Batch, Policy, PolicyState
from dreamerv2.run.updater import Batches, InTurn
from dreamerv2.signals import StopRequest

LONG_EPISODE = 10_000  # Agent steps without the end of an episode, after which to warn.
EXAMPLE_LIMIT = 1000  # A time limit to propose, in agent steps.
SKIPS = 'skipped_updates', 'skipped_in_a_row'
COUNTERS = 'step', 'updates', 'episodes', 'prefilled'  # of a run, in its checkpoints
LOOKED_AT = 1000  # Rows of an evaluation on which the world model is measured.
MOST_SKIPS = 100  # Consecutive updates that may be skipped because they were not finite.


class Every:
    """Counts the periods, of so many agent steps, that end up to a step; 0 means never.

    With `at_start`, the first call counts one period, as in DreamerV2: the first training step
    after the prefill updates, logs and evaluates at once. `last` is the step counted from, None
    before the first call.
    """

    def __init__(self, period: float, at_start: bool = True) -> None:
        self.period = int(period)
        self.at_start = at_start
        self.last: int | None = None

    def pending(self, step: int) -> int:
        """Number of periods that ended since the last advance, up to `step`."""
        if not self.period:
            return 0
        if self.last is None:
            return int(self.at_start)
        return max(0, step - self.last) // self.period

    def advance(self, step: int) -> int:
        """Like `pending`, and counts from the end of the last of those periods afterwards."""
        count = self.pending(step)
        self.last = step if self.last is None else self.last + count * self.period
        return count


@dataclasses.dataclass(eq=False, repr=False)
class TrainingRun:
    """A run in its logdir. Until `learn` it needs no agent, which is built during the prefill.

    Callbacks see it as `callbacks.Run`.
    """

    config: Config
    path: Path  # the logdir
    envs: Workers  # that collect
    replay: Replay
    evaluator: evaluation.Evaluator
    display: ProgressDisplay
    logger: Logger
    stopping: StopRequest
    callbacks: Sequence[Callback] = ()  # of the user's program

    updates: int = 0
    episodes: int = 0
    prefilled: bool = False
    written: bool = False  # whether it has written to the logdir, see `begin`
    agent: Any = None
    skips: dict[str, Any] = dataclasses.field(default_factory=dict)
    evaluated: tuple[int, Score | None] = (-1, None)  # frames, score
    saved: Checkpoint | None = None  # from which it resumes

    def __post_init__(self) -> None:
        for callback in self.callbacks:
            callback.run = self
        config = self.config
        self.driver = Driver(
            self.envs,
            turns=turns(config),
            on_step=[self.replay.add_step, *(callback.on_step for callback in self.callbacks)],
            on_reset=[self.replay.drop_partial],
            video_keys=config.log_keys_video,
        )
        # Episodes without a checkpoint are from a run that ended before its first one: they count,
        # and the random steps to come must differ from theirs.
        self.step = int(self.replay.stats['total_steps'])
        self._first_frames = self.frames  # The log is kept up to here.
        generator = random_streams.generator(config.seed, 'random_policy', self.step)
        self.random_policy = RandomPolicy(self.envs.act_space, generator)
        eval_every = config.eval_every if self.evaluator.levels else 0
        self.schedules = {
            'train': Every(config.train_every),
            'log': Every(config.log_every),
            'evaluation': Every(eval_every),
            'save': Every(config.save_every, at_start=False),
        }
        self._videos = Every(eval_every)
        self.means = MetricMeans()
        self.throughput = Throughput(config.action_repeat)
        self.saver = Saver()
        self._policy_arrays: dict[str, np.ndarray] = {}
        self._unended = 0  # Agent steps since an episode last ended.
        self._said_unended = False

    @property
    def frames(self) -> int:
        """The logged step: agent steps times the action repeat."""
        return self.step * self.config.action_repeat

    def add(self, metrics: Mapping[str, float]) -> None:
        """Adds values to what is logged next, as `callbacks.Run` says."""
        self.means.add({name: float(value) for name, value in metrics.items()})

    def stop(self, reason: str = 'a callback') -> None:
        """Ends the run after this step."""
        self.stopping.request(reason)

    def begin(self) -> None:
        """The first write to the logdir, made once; from then on the run is not refused."""
        if self.written:
            return
        self.written = True
        checkpoint.tidy(self.path / 'checkpoints', self.saved)
        folder.save_config(self.path, self.config)
        self.replay.release()
        jsonl.truncate(self.path, self._first_frames)
        files = jsonl.JsonLines(self.path), EventFile(self.path, self._first_frames)
        self.logger.open([*files, *trackers(self.config, self.path)])

    # Acting and learning

    def prefill(self, policy: Policy, should_stop: Callable[[], bool]) -> None:
        """Plays what is left of the prefill, and more until there is something to learn from.

        At most until the budget is used; `should_stop` is asked before every step. Afterwards, if
        any episode has ended, the driver is reset: unfinished episodes are dropped, so that none is
        half random, half played by the agent.
        """
        stats, length = self.replay.stats, self.config.dataset.length
        owed = self.config.prefill - int(stats['total_steps'] + stats['partial_steps'])

        def ended() -> bool:
            return self.replay.stats['loaded_episodes'] > 0

        made = 0
        while made < owed or not (ended() or self.replay.can_sample(length)):
            if should_stop():
                return
            if made >= owed and self.step >= self.config.steps:
                break
            result = self.driver.step(policy)
            made += result.transitions
            self.step += result.transitions
            self._stepped(result)
        if ended():
            self.driver.reset()
        self.prefilled = True

    def check_experience(self) -> None:
        """Raises UsageError where the prefill has brought nothing to learn from."""
        if self.replay.can_sample(self.config.dataset.length):
            return
        if self.replay.stats['loaded_episodes']:
            self.replay.sample(1, self.config.dataset.length)  # Raises, and says why.
        raise UsageError(
            f'No episode of {self.config.task} has ended in {self.step} agent steps, so '
            f'there is nothing to learn from: cut episodes off with --time_limit {EXAMPLE_LIMIT}, '
            'learn from unfinished ones with --replay.ongoing True, or raise --steps.'
        )

    def learn(
        self, agent: Agent, batches: Batches, updater: InTurn, lock: Lock, provenance: bytes
    ) -> int:
        """Learns until the budget is used or a stop, and saves.

        `lock` holds the logdir; `provenance` is the content of `provenance.json`. Returns the exit
        code: 0 finished, 75 stopped with a checkpoint.
        """
        self.agent, self.batches, self.updater = agent, batches, updater
        self.lock, self.provenance = lock, provenance
        for line in headroom.shortages(
            steps=self.config.steps - self.step,
            stats=self.replay.stats,
            on_disk=headroom.folder_size(self.path / 'train_episodes'),
            capacity=self.config.replay.capacity,
            keep_on_disk=self.config.replay.keep_on_disk,
            checkpoint=sum(value.nbytes for value in agent.get_state().values()),
            free_memory=headroom.available_memory(),
            free_disk=shutil.disk_usage(self.path).free,
        ):
            self.display.line(line)
        self.display.phase('training')
        self.throughput.start(self.step, self.updates)
        with contextlib.closing(self.saver), contextlib.closing(updater):
            if self.stopping():
                self.save()
            else:
                self.interact()
            self.saver.wait()
        if not self.prefilled or self.step < self.config.steps:
            self.display.line(
                f'Stopped by {self.stopping.signal_name} at {self.frames} frames, checkpoint '
                'saved: the same command resumes from here.'
            )
            return STOPPED
        folder.mark_finished(self.path, self.frames, self.updates)
        self.display.line(f'Finished: {self.frames} frames in {self.path}')
        return FINISHED

    def interact(self) -> None:
        """Acts and learns until the budget is used, or until a stop after a complete step.

        As in DreamerV2: `pretrain` updates first; then, while steps are left, an evaluation every
        `eval_every` steps (the first before anything is learned) and `train_steps` updates every
        `train_every` steps, the first at the first step. It saves after every evaluation but the
        first, every `save_every`, and at the end. An evaluation that is stopped midway counts as
        not made.
        """
        config, schedules = self.config, self.schedules
        evaluation_due, save_due = schedules['evaluation'], schedules['save']
        for _ in range(self.updates, config.pretrain):
            if self.stopping():
                break
            self._updated(self.updater.update(1, self.step))
        self._updated(self.updater.drain())
        if save_due.last is None:
            save_due.advance(self.step)
        while self.step < config.steps and not self.stopping():
            if evaluation_due.pending(self.step):
                self._updated(self.updater.drain())
                self.evaluate()
                if self.stopping():
                    break
                first = evaluation_due.last is None
                evaluation_due.advance(self.step)
                if not first:
                    save_due.advance(self.step)
                    self.save()
            elif save_due.advance(self.step):
                self._updated(self.updater.drain())
                self.save()
            result = self.driver.step(self._policy)
            self.step += result.transitions
            # With many environments several updates may be due after one step.
            owed = schedules['train'].advance(self.step) * config.train_steps
            self._updated(self.updater.update(owed, self.step))
            self._stepped(result)
            self.saver.check()
            if config.async_collect:
                self.means.add({'policy_staleness': self.updater.staleness})
            if schedules['log'].advance(self.step):
                self._updated(self.updater.drain())
                self.log()
        self._updated(self.updater.drain())
        self.save()

    def _policy(self, obs: Batch, state: PolicyState) -> tuple[np.ndarray, PolicyState]:
        until = self.config.expl_until  # 0: for the whole run.
        explores = self.config.expl_behavior != 'greedy' and (not until or self.frames < until)
        return self.agent.policy(obs, state, mode='explore' if explores else 'train')

    def _updated(self, ended: Iterable[dict[str, Any]]) -> None:
        """Collects the metrics of the updates that ended."""
        for metrics in ended:
            self.updates += 1
            self.skips = {name: metrics[name] for name in SKIPS if name in metrics}
            self.means.add({k: v for k, v in metrics.items() if k not in SKIPS})
            for callback in self.callbacks:
                callback.on_update(metrics)

    def _stepped(self, result: StepResult) -> None:
        """Logs the episodes that ended, and shows the progress.

        Warns once where no episode ends for a long time, or during the whole prefill.
        """
        for episode in result.episodes:
            self.episodes += 1
            self._unended = 0
            patterns = {how: self.config[f'log_keys_{how}'] for how in ('sum', 'mean', 'max')}
            scalars = episode_metrics(episode, patterns)
            videos = {}
            if not self.prefilled:
                scalars['train_prefill'] = 1
            else:
                self.display.episode(episode.score)
                if self._videos.advance(self.step):
                    videos = {f'train_policy_{k}': frames for k, frames in episode.videos.items()}
            self.logger.write(self.frames, scalars, videos)
            for callback in self.callbacks:
                callback.on_episode(episode)
        self._unended += result.transitions
        patience = LONG_EPISODE * len(self.envs)
        if not self.prefilled:  # A short prefill may well lie within one episode.
            patience = min(patience, max(self.config.prefill, EXAMPLE_LIMIT))
        if self._unended >= patience and not self._said_unended:
            self._said_unended = True
            self.display.line(
                f'No episode of {self.config.task} has ended in {self._unended} agent steps. If '
                f'its episodes may go on for ever, stop the run and start again with --time_limit '
                f'{EXAMPLE_LIMIT}.'
            )
        self.display.update(self.frames, self.updates)

    # Evaluating and logging

    def evaluate(self) -> None:
        """Plays episodes on every level, and measures the world model on them."""
        config = self.config
        total = config.eval_eps * len(self.evaluator.levels)
        recorder = model_evaluation.Recorder(max(LOOKED_AT // total, 2))
        boxes = model_evaluation.has_boxes(self.envs.obs_space)
        mode = evaluation.POLICY_MODES[config.eval_policy]
        measures: dict[str, float] = {}
        self.display.phase('evaluation')
        with self.throughput.paused():
            episodes = self.evaluator.evaluate(
                functools.partial(self.agent.policy, mode=mode),
                config.eval_eps,
                video_keys=config.log_keys_video,
                on_step=[recorder] if boxes else [],
                should_stop=self.stopping,
                say=self.display.line,
                progress=functools.partial(self.display.evaluating, total=total),
            )
            if episodes and recorder.episodes:
                measures = model_evaluation.look_at(self.agent, recorder.episodes, config.discount)
        self.display.phase('training')
        if episodes is None:
            return
        videos = {f'eval_policy_{key}': frames for key, frames in episodes[0].videos.items()}
        metrics = {**evaluation.evaluation_metrics(episodes), **measures}
        self.evaluated = self.frames, evaluation.score(metrics)
        self._write(metrics, videos)
        self.display.line(evaluation.summary_line(episodes, self.frames))

    def log(self) -> None:
        """Writes the metrics of learning."""
        self.lock.check()
        scalars = self.means.take()
        broken = [k for k, v in scalars.items() if k.endswith('_loss') and not math.isfinite(v)]
        if broken:
            self.display.line(
                f'Not finite at {self.frames} frames: {", ".join(broken)}. Such updates are '
                f'skipped ({int(self.skips.get("skipped_updates", 0))} so far).'
            )
        scalars.update({name: int(value) for name, value in self.skips.items()})
        scalars.update(self.throughput.take(self.step, self.updates))
        scalars.update(updates=self.updates, episodes=self.episodes)
        for name, value in self.replay.stats.items():
            own = name in ('absorbing_fraction', 'filler_fraction')
            scalars[name if own else f'replay_{name}'] = value
        videos = self.agent.report(self.batches.last) if self.batches.last is not None else {}
        self._write(scalars, videos)
        self._check_updates()

    def _write(self, metrics: dict[str, Any], videos: dict[str, np.ndarray]) -> None:
        for callback in self.callbacks:
            callback.on_log(metrics)
        self.logger.write(self.frames, metrics, videos)

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

    # Saving and restoring

    def progress(self) -> dict[str, Any]:
        """Counters and schedules, ready for JSON."""
        last = {name: every.last for name, every in self.schedules.items()}
        return {name: getattr(self, name) for name in COUNTERS} | last

    def set_progress(self, state: Mapping[str, Any]) -> None:
        """Takes what `progress` gave."""
        for name in COUNTERS:
            setattr(self, name, state[name])
        for name, every in self.schedules.items():
            every.last = state[name]

    def save(self) -> None:
        """Captures the state of all parts, and writes it as a checkpoint in the background."""
        self._check_updates()
        self.lock.check()
        state = {
            'progress': self.progress(),
            'replay': self.replay.get_state(),
            'driver': self.driver.get_state(),
            'random_policy': self.random_policy.get_state(),
            'evaluator': self.evaluator.get_state(),
            'metrics': self.means.get_state(),
        }
        document = json.loads(to_json(state))
        frames, arrays = self.frames, self.agent.get_state()
        ahead = self.batches.get_state()
        rows = self.replay.unfinished()
        arrived = self.driver.arrived()
        parts = [self.agent.policy_arrays(each) for each in self.driver.policy_states]
        policy = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        config = (self.path / 'config.yaml').read_bytes()
        files = {checkpoint.CONFIG: config, folder.PROVENANCE: self.provenance}
        evaluated, score = self.evaluated
        score = score if evaluated == frames else None

        def write() -> None:
            self.logger.flush()  # Everything logged before a checkpoint is on disk when it is.
            jsonl.make_durable(self.path)
            files[checkpoint.UNFINISHED] = unfinished.pack(rows, policy, arrived)
            if ahead is not None:
                files[checkpoint.BATCH] = ahead
            root = self.path / 'checkpoints'
            checkpoint.save(root, frames, arrays=arrays, state=document, files=files, score=score)

        self.saver.start(write)

    def restore(self, saved: Checkpoint) -> None:
        """Restores everything but the agent and its batches from a checkpoint."""
        self.saved, self._first_frames = saved, saved.frames
        state = saved.state
        self.set_progress(state['progress'])
        self.replay.set_state(state['replay'])
        self.random_policy.set_state(state['random_policy'])
        self.evaluator.set_state(state['evaluator'])
        self.means.set_state(state['metrics'])
        content = saved.file(checkpoint.UNFINISHED)
        rows, arrays, arrived = unfinished.unpack(content) if content else ({}, {}, {})
        for index, steps in self.driver.set_state(state['driver'], rows, arrived).items():
            self.episodes += 1
            self.step += index in arrived  # A row passed on only now, as its last.
            self.display.line(
                f'Environment {index} could not be restored: its unfinished episode '
                f'ends after {steps} steps, as by a time limit.'
            )
        if len(arrays.get('action', ())) == len(self.envs):  # Else their number changed.
            self._policy_arrays = arrays
        self.display.line(f'Resuming from {saved.path} ({self.frames} frames).')

    def restore_policy(self, agent: Agent) -> None:
        """Lets the policy continue from the restored state, or start fresh where there is none."""
        for number, group in enumerate(self.driver.groups):
            part = {name: value[[*group]] for name, value in self._policy_arrays.items()}
            self.driver.policy_states[number] = agent.policy_state(part)
