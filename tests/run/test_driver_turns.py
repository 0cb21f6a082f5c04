"""Environments that take turns: in the same order, whatever they are stepped by."""

import contextlib
import functools
import json

import numpy as np
import pytest
from run_fakes import CountingEnv, Forgetful, in_process, random_policy

from dreamerv2.envs.factory import make_workers
from dreamerv2.envs.process_workers import ProcessWorkers, WorkerError
from dreamerv2.envs.workers import InProcess, ThreadWorkers
from dreamerv2.replay import Replay
from dreamerv2.run.checkpoint import unfinished
from dreamerv2.run.driver import Driver


def by_what_is_seen(obs, state):
    """Actions that follow from the images alone, whoever else acts and in whatever order."""
    seen = obs['image'][:, :2, 0, 0].astype(int).sum(1)
    return np.eye(3, dtype=np.float32)[seen % 3], state


def assert_same(one, other):
    assert one.keys() == other.keys()
    for key, value in one.items():
        assert value.dtype == other[key].dtype
        np.testing.assert_array_equal(value, other[key])


def summaries(results, worker):
    """Length and return of an environment's episodes."""
    ended = [episode for result in results for episode in result.episodes]
    return [(e.length, e.score) for e in ended if e.worker == worker]


def test_environments_that_take_turns_act_on_what_they_saw_last():
    envs = [CountingEnv(length=3 + i, seed=i) for i in range(4)]
    rows, told = [], []

    def policy(obs, state):
        told.append(((obs['image'][:, 0, 0, 0]).tolist(), state, len(rows)))
        return np.eye(3, dtype=np.float32)[[1] * len(obs['is_first'])], (state or 0) + 1

    driver = Driver(
        in_process(envs), turns=2, on_step=[lambda row, worker: rows.append((worker, row))]
    )
    results = [driver.step(policy) for _ in range(6)]
    assert all(result.transitions == 2 for result in results)
    workers = [worker for worker, row in rows if not row['is_first']]
    assert workers == [0, 1, 2, 3] * 3
    # Both groups act first; then each as soon as its own rows, and no other's, were handed on.
    seen = [[0, 0], [0, 0], [1, 1], [1, 1], [2, 2], [2, 2], [0, 3]]
    states = [None, None, 1, 1, 2, 2, 3]
    assert [(steps, state) for steps, state, _ in told] == list(zip(seen, states, strict=True))
    assert [count for *_, count in told] == [2, 4, 6, 8, 10, 12, 15]
    for worker, env in enumerate(envs):
        own = [int(row['image'][0, 0, 0]) for index, row in rows if index == worker]
        assert own == [*range(4), *([0] if worker == 0 else [])]
        assert env.resets == (2 if worker == 0 else 1)
    with pytest.raises(ValueError, match='4 environments cannot form 3 groups'):
        Driver(in_process(envs), turns=3)


def test_forgetting_waits_for_the_steps_under_way():
    envs = [CountingEnv(length=9, seed=i) for i in range(2)]
    rows = []
    driver = Driver(in_process(envs), turns=2, on_step=[lambda row, worker: rows.append(worker)])
    policy = random_policy(envs[0])
    for _ in range(3):
        driver.step(policy)
    assert [env.step_count for env in envs] == [2, 1] and rows.count(1) == 2
    driver.reset()
    assert [env.step_count for env in envs] == [2, 2] and rows.count(1) == 2
    driver.step(policy)
    assert [env.resets for env in envs] == [2, 2] and driver.policy_states == [None, None]


@pytest.mark.parametrize('steps', range(1, 12))
@pytest.mark.parametrize('turns, transitions', [(1, [1] + [2] * 8), (2, [1] * 17)])
def test_taking_turns_goes_on_in_mid_step_and_in_other_turns(steps, turns, transitions):
    def make(seed, turns):
        envs = [CountingEnv(length=3 + i, seed=seed + i) for i in range(2)]
        replay = Replay(None, seed=0)
        on = {'on_step': [replay.add_step], 'on_reset': [replay.drop_partial]}
        return replay, Driver(in_process(envs), turns=turns, **on)

    replay, driver = make(0, 2)
    for _ in range(steps):
        driver.step(by_what_is_seen)
    state = json.loads(json.dumps(driver.get_state()))
    packed = unfinished.pack(replay.unfinished(), {}, driver.arrived())
    before = len(replay.episodes())
    expected = [driver.step(by_what_is_seen) for _ in range(17)]

    again, restored = make(50, turns)
    rows, _, arrived = unfinished.unpack(packed)
    assert restored.set_state(state, rows, arrived) == {}
    found = [restored.step(by_what_is_seen) for _ in transitions]
    # With one turn the first step hands on what had arrived; then both act together.
    assert [result.transitions for result in found] == transitions
    # Which of the two comes first depends on the turns; each by itself goes on as it would have.
    for worker in range(2):
        assert summaries(expected, worker) == summaries(found, worker)
    finished = [
        sorted(episodes, key=lambda episode: episode.steps)
        for episodes in (replay.episodes()[before:], again.episodes())
    ]
    for one, other in zip(*finished, strict=True):
        assert_same(one.arrays(), other.arrays())
    # Where they take turns an episode may have begun that has no step yet.
    one, other = (
        {i: rows for i, rows in part.unfinished().items() if len(rows['is_first']) > 1}
        for part in (replay, again)
    )
    assert one.keys() == other.keys()
    for index in one:
        assert_same(one[index], other[index])


def test_a_step_under_way_is_the_last_of_an_episode_that_cannot_go_on():
    envs = [Forgetful(length=7, seed=i) for i in range(2)]
    for env in envs:
        env.forgotten = 0
    replay = Replay(None, seed=0)
    driver = Driver(in_process(envs), turns=2, on_step=[replay.add_step])
    policy = random_policy(envs[0])
    for _ in range(5):
        driver.step(policy)
    state, unfinished, arrived = driver.get_state(), replay.unfinished(), driver.arrived()
    assert [*arrived] == [1] and len(unfinished[1]['is_first']) == 3
    others = [Forgetful(length=7), Forgetful(length=7)]
    others[0].forgotten, others[1].forgotten = 0, 1
    again = Replay(None, seed=0)
    restored = Driver(in_process(others), turns=2, on_step=[again.add_step])
    assert restored.set_state(state, unfinished, arrived) == {1: 3}
    (episode,) = again.episodes()
    assert episode.array('is_last').tolist() == [False, False, False, True]
    results = [restored.step(policy) for _ in range(4)]
    assert [result.transitions for result in results] == [1, 1, 1, 1]
    assert again.stats['partial_steps'] == 3 + 4


def play(envs, steps, policy):
    """Rows with their environments' numbers, as handed on in so many steps, and the state then."""
    rows = []
    with contextlib.closing(envs):
        driver = Driver(envs, turns=2, on_step=[lambda row, worker: rows.append((worker, row))])
        for _ in range(steps):
            driver.step(policy)
        return rows, driver.get_state()


@pytest.mark.parametrize('parallel', ['thread', 'process'])
def test_workers_side_by_side_take_turns_as_those_in_this_process_do(parallel):
    results = []
    for kind in ('none', parallel):
        envs = make_workers('pixel', 4, parallel=kind, seed=3, sticky=0.3)
        results.append(play(envs, 50, random_policy(envs)))
    (expected, state), (found, other_state) = results
    assert [worker for worker, _ in found] == [worker for worker, _ in expected]
    assert sum(bool(row['is_first']) for _, row in found) == 2 * 4
    for (_, row), (_, other) in zip(found, expected, strict=True):
        assert_same(row, other)
    assert other_state == state


class FailsOnce(CountingEnv):
    """Fails in its fourth step, in the first process that gets there."""

    def __init__(self, flag, **options):
        super().__init__(**options)
        self.flag = flag

    def step(self, action):
        if self.step_count == 3 and not self.flag.exists():
            self.flag.touch()
            raise ZeroDivisionError('no more frames')
        return super().step(action)


def makers(flag):
    """Of two environments, the first of which fails once."""
    return [
        functools.partial(FailsOnce, flag, length=5, seed=0),
        functools.partial(CountingEnv, length=5, seed=1),
    ]


def test_a_worker_that_fails_while_the_other_is_at_its_step_is_replaced(tmp_path):
    flag = tmp_path / 'flag'
    found, _ = play(ProcessWorkers(makers(flag), restarts=1), 14, by_what_is_seen)
    assert flag.exists()
    expected, _ = play(InProcess(makers(flag)), 14, by_what_is_seen)
    rows, others = ([[r for w, r in p if w == i] for i in (0, 1)] for p in (found, expected))
    for row, other in zip(rows[1], others[1], strict=True):
        assert_same(row, other)
    for row, other in zip(rows[0][:4], others[0][:4], strict=True):
        assert_same(row, other)
    assert [bool(row['is_last']) for row in rows[0]] == [*[False] * 4, True, *[False] * 4]
    assert not rows[0][4]['is_terminal'] and rows[0][5]['is_first']


@pytest.mark.parametrize('kind', [ThreadWorkers, ProcessWorkers])
def test_a_failure_while_the_other_is_at_its_step_reaches_the_caller(tmp_path, kind):
    with pytest.raises((ZeroDivisionError, WorkerError), match='no more frames'):
        play(kind(makers(tmp_path / 'flag')), 14, by_what_is_seen)
