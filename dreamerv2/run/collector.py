"""Collects a run's experience: steps the environments, counts, and logs episodes.

It needs no agent, so that the prefill can be played while the agent is being built.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dreamerv2.config import Config
from dreamerv2.envs.workers import Workers
from dreamerv2.errors import UsageError
from dreamerv2.replay import Replay
from dreamerv2.run import loop, random_streams
from dreamerv2.run.callbacks import Callback
from dreamerv2.run.driver import Driver
from dreamerv2.run.metrics.episode_summary import episode_metrics
from dreamerv2.run.metrics.logger import Logger
from dreamerv2.run.metrics.terminal import ProgressDisplay
from dreamerv2.run.random_policy import RandomPolicy
from dreamerv2.run.types import Policy

LONG_EPISODE = 10_000  # Agent steps without the end of an episode, after which to warn.
EXAMPLE_LIMIT = 1000  # A time limit to propose, in agent steps.


class Collector:
    """Plays the environments of a run into its replay.

    Args:
        config: the run's.
        plan: budget and periods.
        envs: the environments.
        turns: number of groups that take turns, see `Driver`.
        replay: takes every row.
        display: shows the progress.
        logger: takes the episodes' metrics.
        callbacks: of the user's program.

    Attributes:
        progress: counters and schedules.
        driver: steps the environments.
        random_policy: acts in the prefill.
    """

    def __init__(
        self,
        config: Config,
        plan: loop.Plan,
        envs: Workers,
        turns: int,
        replay: Replay,
        display: ProgressDisplay,
        logger: Logger,
        callbacks: Sequence[Callback] = (),
    ) -> None:
        self.config = config
        self.plan = plan
        self.envs = envs
        self.replay = replay
        self.display = display
        self.logger = logger
        self.callbacks = callbacks
        self.driver = Driver(
            envs,
            turns=turns,
            on_step=[replay.add_step, *(callback.on_step for callback in callbacks)],
            on_reset=[replay.drop_partial],
            video_keys=config.log_keys_video,
        )
        # Episodes without a checkpoint are from a run that ended before its first one: they count,
        # and the random steps to come must differ from theirs.
        found = int(replay.stats['total_steps'])
        self.progress = loop.Progress(plan, found)
        generator = random_streams.generator(config.seed, 'random_policy', found)
        self.random_policy = RandomPolicy(envs.act_space, generator)
        self._videos = loop.Every(plan.eval_every)
        self._unended = 0  # Agent steps since an episode last ended.
        self._said_unended = False

    @property
    def frames(self) -> int:
        """The logged step: agent steps times the action repeat."""
        return self.progress.step * self.config.action_repeat

    def prefill(self, policy: Policy, should_stop: Callable[[], bool]) -> None:
        """Plays what is left of the prefill.

        Args:
            policy: acts.
            should_stop: asked before every step whether to end early.
        """
        stats = self.replay.stats
        owed = max(0, self.plan.prefill - int(stats['total_steps'] + stats['partial_steps']))
        length = self.config.dataset.length

        def ended() -> bool:
            return self.replay.stats['loaded_episodes'] > 0

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
        for event in events:
            match event:
                case loop.Stepped(transitions):
                    self.stepped(transitions)
                case loop.EpisodeEnded():
                    self.episode_ended(event)

    def check_experience(self) -> None:
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

    def stepped(self, transitions: int) -> None:
        """Updates the display after a number of transitions.

        Warns once where no episode ends for a long time, or during the whole prefill.
        """
        self._unended += transitions
        patience = LONG_EPISODE * len(self.envs)
        if not self.progress.prefilled:  # A short prefill may well lie within one episode.
            patience = min(patience, max(self.plan.prefill, EXAMPLE_LIMIT))
        if self._unended >= patience and not self._said_unended:
            self._said_unended = True
            self.display.line(
                f'No episode of {self.config.task} has ended in {self._unended} agent steps. If '
                f'its episodes may go on for ever, stop the run and start again with --time_limit '
                f'{EXAMPLE_LIMIT}.'
            )
        self.display.update(self.frames, self.progress.updates)

    def episode_ended(self, event: loop.EpisodeEnded) -> None:
        """Logs an episode."""
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
        if not event.prefill and self._videos.advance(self.progress.step):
            videos = {f'train_policy_{key}': frames for key, frames in episode.videos.items()}
        self.logger.write(self.frames, scalars, videos)
        for callback in self.callbacks:
            callback.on_episode(episode)
