"""Updates in turn and beside acting: the same number, at the same steps, on the same batches."""

import functools
import threading

import pytest

from dreamerv2.run.updater import Beside, InTurn


class Learner:
    """Notes what it was trained on; may be held up, and fail."""

    def __init__(self):
        self.trained = []
        self.synced = []
        self.go = threading.Event()
        self.go.set()
        self.error = None
        self.pending = None

    def train(self, batch, state, step):
        assert self.go.wait(10)
        if self.error:
            raise self.error
        self.trained.append((batch, state, step))
        return len(self.trained), {'loss': float(batch)}

    def train_ahead(self, batch, state, step):
        completed = self.pending
        state, self.pending = self.train(batch, state, step)
        return state, completed

    def finish(self):
        completed, self.pending = self.pending, None
        return completed

    def sync_policy(self):
        self.synced.append(len(self.trained))


def batches():
    return iter(range(100)).__next__


@pytest.mark.parametrize('kind', [InTurn, Beside, functools.partial(Beside, ahead=True)])
def test_updates_use_the_batches_in_order_and_carry_the_state(kind):
    learner = Learner()
    updater = kind(learner, batches())
    metrics = []
    for step, number in ((8, 2), (9, 0), (16, 1)):
        metrics += updater.update(number, step)
    metrics += updater.drain()
    updater.close()
    assert learner.trained == [(0, None, 8), (1, 1, 8), (2, 2, 16)]
    assert [m['loss'] for m in metrics] == [0, 1, 2]
    assert updater.staleness == 0


def test_beside_returns_at_once_and_is_behind_by_one_training_step():
    learner = Learner()
    updater = Beside(learner, batches())
    learner.go.clear()
    assert updater.update(2, 8) == []
    assert updater.staleness == 2
    assert learner.synced == []
    learner.go.set()
    assert len(updater.update(1, 16)) == 2
    # The acting weights were renewed before the next update could touch the others.
    assert learner.synced == [2]
    assert updater.staleness == 1
    assert len(updater.drain()) == 1
    assert learner.synced == [2, 3]
    updater.close()


def test_updates_made_ahead_end_with_the_next_or_when_drained():
    learner = Learner()
    updater = Beside(learner, batches(), ahead=True)
    assert updater.update(2, 8) == []
    assert updater.staleness == 2
    # Of two updates one is complete when the next is asked for; the actor is behind by the other.
    assert updater.update(1, 16) == [{'loss': 0.0}]
    assert updater.staleness == 2
    assert updater.wait() == [{'loss': 1.0}]
    assert updater.staleness == 1
    assert updater.drain() == [{'loss': 2.0}]
    assert updater.staleness == 0
    assert updater.drain() == []
    assert learner.synced == [2, 3, 3]
    updater.close()


def test_an_error_in_the_learner_reaches_the_caller():
    learner = Learner()
    learner.error = ValueError('broken')
    updater = Beside(learner, batches())
    updater.update(1, 8)
    with pytest.raises(ValueError, match='broken'):
        updater.drain()
    updater.close()
