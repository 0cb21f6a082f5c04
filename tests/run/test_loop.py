"""The loop: what is counted, what is due and when."""

import pytest
from run_fakes import CountingEnv, in_process

from dreamerv2.run import loop, random_streams
from dreamerv2.run.driver import Driver
from dreamerv2.run.loop import Every
from dreamerv2.run.random_policy import RandomPolicy
from dreamerv2.run.updater import InTurn


class Trace:
    """Runs a plan with fakes and keeps the events with the step at which they came."""

    def __init__(self, plan, envs=1, length=10, stop_at=None, progress=None):
        self.driver = Driver(in_process([CountingEnv(length, seed=i) for i in range(envs)]))
        self.policy = RandomPolicy(
            self.driver.envs.act_space, random_streams.generator(0, 'random_policy')
        )
        self.plan = plan
        self.progress = progress or loop.Progress(plan)
        self.update_steps = []
        self.events = []
        self.stop_at = stop_at

    def should_stop(self):
        return self.stop_at is not None and self.progress.step >= self.stop_at

    def train(self, batch, state, step):
        self.update_steps.append(step)
        return None, {'loss': 1.0}

    def interact(self):
        events = loop.interact(
            self.driver,
            self.policy,
            InTurn(self, dict),
            self.progress,
            self.plan,
            should_stop=self.should_stop,
        )
        self.events += [(self.progress.step, event) for event in events]
        return self

    def prefill(self, steps, ready=lambda: True):
        events = loop.prefill(
            self.driver,
            self.policy,
            self.progress,
            steps=steps,
            ready=ready,
            should_stop=self.should_stop,
        )
        self.events += [(self.progress.step, event) for event in events]
        return self

    def steps_of(self, kind):
        return [step for step, event in self.events if isinstance(event, kind)]


class OriginalEvery:
    """What DreamerV2's schedule answers, stated as a table: due at a, a + n, a + 2n, ..."""

    def __init__(self, period):
        self.period, self.due = period, None

    def __call__(self, step):
        if self.due is None:
            self.due = step
        if step < self.due:
            return False
        self.due += self.period
        return True


@pytest.mark.parametrize('period', [1, 5, 16])
def test_every_is_due_when_the_original_is(period):
    ours, theirs = Every(period), OriginalEvery(period)
    for step in range(3, 200):
        assert ours.advance(step) == theirs(step)


def test_every_counts_all_periods_gone_by_and_keeps_its_state():
    every = Every(4)
    assert every.advance(10) == 1
    assert every.advance(13) == 0
    assert every.pending(22) == every.advance(22) == 3
    restored = Every(4)
    restored.set_state(every.get_state())
    assert [restored.advance(step) for step in (25, 26)] == [0, 1]
    assert Every(0).advance(100) == 0
    later = Every(10, at_start=False)
    assert [later.advance(step) for step in (5, 14, 15, 25)] == [0, 0, 1, 1]


def test_prefill_is_counted_and_ends_exactly():
    trace = Trace(loop.Plan(steps=100)).prefill(37)
    assert trace.progress.step == 37
    assert trace.progress.prefilled
    assert isinstance(trace.events[-1][1], loop.PrefillEnded)
    ended = [event for _, event in trace.events if isinstance(event, loop.EpisodeEnded)]
    assert len(ended) == 3 and all(event.prefill for event in ended)
    assert trace.progress.episodes == 3


def test_prefill_goes_on_until_there_is_something_to_learn_from():
    trace = Trace(loop.Plan(steps=100))
    trace.prefill(2, ready=lambda: trace.progress.episodes > 0)
    assert trace.progress.step == 10


def test_prefill_drops_the_unfinished_episode():
    trace = Trace(loop.Plan(steps=60)).prefill(37).interact()
    played = [e for _, e in trace.events if isinstance(e, loop.EpisodeEnded) and not e.prefill]
    assert [event.episode.length for event in played] == [10, 10]
    assert trace.progress.step == 60


def test_prefill_stops_when_asked():
    trace = Trace(loop.Plan(steps=100), stop_at=5).prefill(37)
    assert trace.progress.step == 5
    assert not trace.progress.prefilled
    assert not trace.steps_of(loop.PrefillEnded)


def test_updates_come_every_train_every_steps_from_the_first():
    trace = Trace(loop.Plan(steps=64, train_every=16, train_steps=2, pretrain=3)).interact()
    assert trace.update_steps == [0, 0, 0, 1, 1, 17, 17, 33, 33, 49, 49]
    assert trace.progress.updates == len(trace.steps_of(loop.Updated)) == 11


@pytest.mark.parametrize('envs', [1, 3, 8])
def test_number_of_updates_does_not_depend_on_the_number_of_environments(envs):
    trace = Trace(loop.Plan(steps=240, train_every=5), envs=envs).interact()
    assert trace.progress.step == 240
    # Counted from the first step of all environments.
    assert trace.progress.updates == 1 + (240 - envs) // 5


def test_budget_is_reached_and_not_overshot():
    trace = Trace(loop.Plan(steps=57)).interact()
    assert trace.progress.step == 57
    assert len(trace.steps_of(loop.Stepped)) == 57


def test_evaluation_comes_first_and_then_every_eval_every():
    trace = Trace(loop.Plan(steps=100, eval_every=30)).interact()
    assert trace.steps_of(loop.EvaluationDue) == [0, 30, 60, 90]


def test_saves_come_every_save_every_after_evaluations_and_at_the_end():
    trace = Trace(loop.Plan(steps=100, save_every=40)).interact()
    assert trace.steps_of(loop.SaveDue) == [40, 80, 100]
    trace = Trace(loop.Plan(steps=100, save_every=40, eval_every=30)).interact()
    assert trace.steps_of(loop.SaveDue) == [30, 40, 60, 80, 90, 100]


def test_logs_come_every_log_every_from_the_first_step():
    trace = Trace(loop.Plan(steps=50, log_every=20)).interact()
    assert trace.steps_of(loop.LogDue) == [1, 21, 41]


def test_a_stop_ends_after_a_whole_step_with_a_save():
    trace = Trace(loop.Plan(steps=100, save_every=50), stop_at=23).interact()
    assert trace.progress.step == 23
    assert trace.steps_of(loop.SaveDue) == [23]
    assert isinstance(trace.events[-1][1], loop.SaveDue)


def test_an_evaluation_cut_short_is_made_again():
    plan = loop.Plan(steps=100, eval_every=30)
    trace = Trace(plan, stop_at=30).interact()
    progress = loop.Progress(plan)
    progress.set_state(trace.progress.get_state())
    again = Trace(plan, progress=progress).interact()
    assert trace.steps_of(loop.EvaluationDue) == [0]
    assert again.steps_of(loop.EvaluationDue) == [30, 60, 90]


def test_going_on_from_a_state_is_due_at_the_same_steps():
    plan = loop.Plan(steps=90, train_every=7, log_every=20, eval_every=30, save_every=25)
    straight = Trace(plan).interact()
    first = Trace(plan, stop_at=50).interact()
    progress = loop.Progress(plan)
    progress.set_state(first.progress.get_state())
    second = Trace(plan, progress=progress).interact()
    assert first.update_steps + second.update_steps == straight.update_steps
    for kind in (loop.LogDue, loop.EvaluationDue):
        assert first.steps_of(kind) + second.steps_of(kind) == straight.steps_of(kind)
