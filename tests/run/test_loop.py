"""The loop of a run: what is counted, what is due and when."""

import pytest
from run_fakes import CountingEnv, in_process, small_config

from dreamerv2.replay import Replay
from dreamerv2.run.callbacks import Callback
from dreamerv2.run.evaluation import Evaluator
from dreamerv2.run.metrics.logger import Logger
from dreamerv2.run.metrics.terminal import ProgressDisplay
from dreamerv2.run.training_run import Every, TrainingRun
from dreamerv2.run.updater import InTurn
from dreamerv2.signals import StopRequest

# What a test does not ask for never happens.
NOTHING = dict.fromkeys(('prefill', 'pretrain', 'log_every', 'eval_every', 'save_every'), 0)
ONCE = {'train_every': 1, 'train_steps': 1}


class Notes(Callback):
    """Keeps the episodes, and whether they are of the prefill; counts the rest."""

    def __init__(self):
        self.episodes, self.updates, self.transitions = [], 0, 0

    def on_step(self, row, worker):
        self.transitions += not row['is_first']

    def on_episode(self, episode):
        self.episodes.append((episode, not self.run.prefilled))

    def on_update(self, metrics):
        self.updates += 1


class Trace(TrainingRun):
    """A run of fakes that keeps the steps at which something was due."""

    def __init__(self, steps, envs=1, stop_at=None, state=None, **counts):
        self.steps_of = {name: [] for name in ('update', 'evaluate', 'log', 'save')}
        self.notes, self.stop_at = Notes(), stop_at
        super().__init__(
            small_config('unused').update({**NOTHING, **ONCE, **counts, 'steps': steps}),
            None,
            envs=in_process([CountingEnv(seed=i) for i in range(envs)]),
            replay=Replay(None, seed=0),
            evaluator=Evaluator({'a': CountingEnv}),
            display=ProgressDisplay(steps),
            logger=Logger(),
            stopping=StopRequest(),
            callbacks=[self.notes],
        )
        self.stopping = lambda: self.stop_at is not None and self.step >= self.stop_at
        self._policy = self.random_policy
        self.updater = InTurn(self, dict)
        if state is not None:
            self.set_progress(state)

    def train(self, batch, state, step):
        self.steps_of['update'].append(step)
        return None, {'loss': 1.0}

    def evaluate(self):
        self.steps_of['evaluate'].append(self.step)

    def log(self):
        self.steps_of['log'].append(self.step)

    def save(self):
        self.steps_of['save'].append(self.step)

    def played(self):
        self.interact()
        return self

    def prefilled_up(self):
        self.prefill(self.random_policy, self.stopping)
        return self


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
    restored.last = every.last
    assert [restored.advance(step) for step in (25, 26)] == [0, 1]
    assert Every(0).advance(100) == 0
    later = Every(10, at_start=False)
    assert [later.advance(step) for step in (5, 14, 15, 25)] == [0, 0, 1, 1]


def test_prefill_is_counted_and_ends_exactly():
    trace = Trace(100, prefill=37).prefilled_up()
    assert trace.step == 37
    assert trace.prefilled
    assert len(trace.notes.episodes) == 3 and all(prefill for _, prefill in trace.notes.episodes)
    assert trace.episodes == 3


def test_prefill_goes_on_until_there_is_something_to_learn_from():
    assert Trace(100, prefill=2).prefilled_up().step == 10


def test_prefill_drops_the_unfinished_episode():
    trace = Trace(60, prefill=37).prefilled_up().played()
    played = [episode.length for episode, prefill in trace.notes.episodes if not prefill]
    assert played == [10, 10]
    assert trace.step == 60


def test_prefill_stops_when_asked():
    trace = Trace(100, prefill=37, stop_at=5).prefilled_up()
    assert trace.step == 5
    assert not trace.prefilled


def test_updates_come_every_train_every_steps_from_the_first():
    trace = Trace(64, train_every=16, train_steps=2, pretrain=3).played()
    assert trace.steps_of['update'] == [0, 0, 0, 1, 1, 17, 17, 33, 33, 49, 49]
    assert trace.updates == trace.notes.updates == 11


@pytest.mark.parametrize('envs', [1, 3, 8])
def test_number_of_updates_does_not_depend_on_the_number_of_environments(envs):
    trace = Trace(240, train_every=5, envs=envs).played()
    assert trace.step == 240
    # Counted from the first step of all environments.
    assert trace.updates == 1 + (240 - envs) // 5


def test_budget_is_reached_and_not_overshot():
    trace = Trace(57).played()
    assert trace.step == trace.notes.transitions == 57


def test_evaluation_comes_first_and_then_every_eval_every():
    assert Trace(100, eval_every=30).played().steps_of['evaluate'] == [0, 30, 60, 90]


def test_saves_come_every_save_every_after_evaluations_and_at_the_end():
    trace = Trace(100, save_every=40).played()
    assert trace.steps_of['save'] == [40, 80, 100]
    trace = Trace(100, save_every=40, eval_every=30).played()
    assert trace.steps_of['save'] == [30, 40, 60, 80, 90, 100]


def test_logs_come_every_log_every_from_the_first_step():
    assert Trace(50, log_every=20).played().steps_of['log'] == [1, 21, 41]


def test_a_stop_ends_after_a_whole_step_with_a_save():
    trace = Trace(100, save_every=50, stop_at=23).played()
    assert trace.step == 23
    assert trace.steps_of['save'] == [23]


def test_an_evaluation_cut_short_is_made_again():
    trace = Trace(100, eval_every=30, stop_at=30).played()
    again = Trace(100, eval_every=30, state=trace.progress()).played()
    assert trace.steps_of['evaluate'] == [0]
    assert again.steps_of['evaluate'] == [30, 60, 90]


def test_going_on_from_a_state_is_due_at_the_same_steps():
    periods = {'train_every': 7, 'log_every': 20, 'eval_every': 30, 'save_every': 25}
    straight = Trace(90, **periods).played()
    first = Trace(90, stop_at=50, **periods).played()
    second = Trace(90, state=first.progress(), **periods).played()
    for kind in ('update', 'log', 'evaluate'):
        assert first.steps_of[kind] + second.steps_of[kind] == straight.steps_of[kind]
