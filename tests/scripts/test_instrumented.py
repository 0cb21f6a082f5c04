"""What a training run with clocks counts, and whose time it takes."""

import time

from benchmarks import instrumented

BESIDE = '--configs debug --task pixel --prefill 30 --train_every 1 --async_collect True'.split()


class Others:
    """Stands in for a turn; counts the updates that end while the others measure."""

    def __init__(self, ended):
        self.ended = ended
        self.stolen = []

    def take(self):
        pass

    def hand_on(self):
        before = len(self.ended)
        time.sleep(0.5)
        self.stolen.append(len(self.ended) - before)


def lengthen(monkeypatch, name, seconds):
    """Makes a method of all agents last longer; a list of when its calls ended."""
    from dreamerv2.agent import Agent

    function, ended = getattr(Agent, name), []

    def call(*args):
        time.sleep(seconds)
        result = function(*args)
        ended.append(time.monotonic())
        return result

    monkeypatch.setattr(Agent, name, call)
    return ended


def test_no_update_is_computed_in_the_time_of_the_others(monkeypatch):
    turn = Others(lengthen(monkeypatch, 'train_ahead', 0.2))
    found = instrumented.measure_segments(BESIDE, count=2, steps=4, warmup=4, turn=turn)
    assert turn.stolen == [0, 0]
    assert found.updates == [4, 4]
    # The loop waited for the last of the four, too.
    assert all(part['learner'] > 0.65 for part in found.parts)


def test_completing_the_last_update_made_ahead_is_learning(monkeypatch):
    lengthen(monkeypatch, 'finish', 0.2)
    found = instrumented.measure_segments([*BESIDE, '--log_every', '2'], 2, steps=4, warmup=4)
    # Two are completed for the log in each stretch.
    assert all(min(part['learner'], part['busy']) > 0.4 for part in found.parts)
    assert all(abs(updates - 4) <= 1 for updates in found.updates)


def test_a_loop_that_makes_its_updates_itself_waits_for_no_learner(monkeypatch):
    turn = Others(lengthen(monkeypatch, 'train', 0.1))
    in_turn = [*BESIDE[:-1], 'False']
    found = instrumented.measure_segments(in_turn, count=2, steps=4, warmup=4, turn=turn)
    assert turn.stolen == [0, 0]
    assert not any('learner' in part for part in found.parts)
    assert all(part['busy'] > 0.4 for part in found.parts)
