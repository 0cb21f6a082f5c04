"""Environments that never end an episode: in the prefill, in training, in evaluation."""

import os
import signal

import pytest
from run_fakes import CountingEnv, NumpyAgent, in_process, lines, random_policy, small_config

from dreamerv2.cli import FINISHED, STOPPED
from dreamerv2.errors import UsageError
from dreamerv2.run import checkpoint, training_run
from dreamerv2.run.build import Parts
from dreamerv2.run.devices import Device
from dreamerv2.run.evaluation import LONGEST_EPISODE, Evaluator, longest_episode
from dreamerv2.run.training import train

FOREVER = 10**9


class Unending(CountingEnv):
    """Ends its first episodes, then none any more; asks for a stop after so many steps."""

    def __init__(self, ending=0, stop_at=None):
        super().__init__(10)
        self.ending, self.stop_at = ending, stop_at

    def reset(self):
        self.length = 10 if self.resets < self.ending else FOREVER
        return super().reset()

    def step(self, action):
        if len(self.actions) == self.stop_at:
            os.kill(os.getpid(), signal.SIGTERM)
        return super().step(action)


def parts_of(envs, evaluation=None):
    def make(obs_space, act_space, say):
        return NumpyAgent(obs_space, act_space), Device('cpu', 'cpu', 'float32')

    return Parts(envs=lambda: in_process(envs), evaluation=evaluation or {}, agent=make)


@pytest.mark.parametrize('count', [1, 2])
def test_a_prefill_in_which_no_episode_ends_obeys_the_budget(tmp_path, count):
    envs = [Unending() for _ in range(count)]
    config = small_config(tmp_path / 'run', steps=300, envs=count)
    with pytest.raises(UsageError, match=r'in 300 agent steps.*--time_limit 1000'):
        train(config, parts_of(envs))
    assert sum(len(env.actions) for env in envs) == 300
    assert not (tmp_path / 'run').exists()
    limited = [CountingEnv(10) for _ in range(count)]
    assert train(config.update({'time_limit': 10}), parts_of(limited)) == FINISHED


def test_a_stop_before_any_episode_has_ended_is_a_stop(tmp_path, capfd):
    config = small_config(tmp_path, steps=300)
    assert train(config, parts_of([Unending(stop_at=60)])) == STOPPED
    assert 'Stopped by SIGTERM at 244 frames' in capfd.readouterr().err
    saved = checkpoint.find(tmp_path)
    assert saved.state['progress']['updates'] == 0 and not saved.state['progress']['prefilled']
    assert not (tmp_path / 'done.json').exists()
    env = Unending()
    with pytest.raises(UsageError, match='in 300 agent steps'):
        train(config, parts_of([env]))
    assert env.step_count == 300


@pytest.mark.parametrize('stop_at', [None, 150])
@pytest.mark.parametrize(('count', 'parallel'), [(1, 'none'), (4, 'thread')])
def test_unfinished_episodes_are_enough_where_they_may_be_sampled(
    tmp_path, count, parallel, stop_at
):
    overrides = {'replay.ongoing': True, 'envs': count, 'envs_parallel': parallel}
    config = small_config(tmp_path, steps=300, **overrides)

    def start(stop_at=None):
        envs = [Unending(stop_at=stop_at and stop_at // count) for _ in range(count)]
        return train(config, parts_of(envs))

    if stop_at:
        assert start(stop_at) == STOPPED
    assert start() == FINISHED
    saved = checkpoint.find(tmp_path)
    assert saved.state['progress']['step'] == 300 and saved.state['progress']['updates'] > 40
    assert saved.state['replay']['totals']['episodes'] == 0


def test_it_is_said_once_that_no_episode_ends(tmp_path, capfd, monkeypatch):
    monkeypatch.setattr(training_run, 'LONG_EPISODE', 100)
    config = small_config(tmp_path, steps=400, eval_every=100, time_limit=0)
    evaluation = {'endless': Unending}
    assert train(config, parts_of([Unending(ending=5)], evaluation)) == FINISHED
    said = [line for line in capfd.readouterr().err.splitlines() if '--time_limit' in line]
    assert len([line for line in said if 'has ended in 100 agent steps' in line]) == 1
    assert len([line for line in said if 'not ended after 1000 agent steps' in line]) == 4
    assert len(said) == 5
    assert lines(tmp_path)[-1]['step'] > 1500
    capfd.readouterr()
    monkeypatch.undo()
    config = small_config(tmp_path / 'other', steps=1500, prefill=1200)
    with pytest.raises(UsageError, match='time_limit'):
        train(config, parts_of([Unending()]))
    assert 'has ended in 1200 agent steps' in capfd.readouterr().err  # The whole prefill.


def test_an_evaluation_that_does_not_end_is_cut_off(tmp_path, capfd):
    evaluation = {'endless': Unending, 'short': lambda: CountingEnv(5)}
    evaluator = Evaluator(evaluation, longest=50)
    said = []
    policy = random_policy(CountingEnv())
    episodes = evaluator.evaluate(policy, 3, say=said.append)
    assert [episode.length for episode in episodes] == [50, 5, 5, 5]
    assert len(said) == 1 and 'endless' in said[0] and '--time_limit' in said[0]
    assert evaluator.evaluate(policy, 1, say=said.append)[0].length == 50
    evaluator = Evaluator({'endless': Unending})
    calls = iter(range(70))
    assert evaluator.evaluate(policy, 1, should_stop=lambda: next(calls) == 60) is None
    assert evaluator.env('endless').step_count == 60


def test_an_episode_may_take_its_time_limit():
    assert longest_episode(0) == LONGEST_EPISODE > 27_000
    assert longest_episode(100_000) == longest_episode(100_000, budget=300) == 100_000
    assert longest_episode(0, budget=300) == 1000 and longest_episode(0, budget=5000) == 5000
    episodes = Evaluator({'a': lambda: CountingEnv(50)}, longest=50).evaluate(
        random_policy(CountingEnv()), 2
    )
    assert [episode.length for episode in episodes] == [50, 50]
