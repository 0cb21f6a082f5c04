"""Going on in the middle of an episode by playing it again."""

import functools
import json

import numpy as np
import pytest

from dreamerv2.envs import make_env
from dreamerv2.envs.contract import (
    Environment,
    bookkeeping_spaces,
    log_space,
    sample_action,
    spaces,
)
from dreamerv2.envs.episodic import ResumableEnv, digest
from dreamerv2.envs.factory import make_workers
from dreamerv2.envs.process_workers import ProcessWorkers
from dreamerv2.envs.workers import InProcess
from dreamerv2.errors import UsageError


class Broken(Environment):
    """Gives one bad number at its second step."""

    levels = ['only']

    def __init__(self, key, bad):
        self.key, self.bad, self.count = key, bad, 0
        self.act_space = spaces.Discrete(2)
        self.obs_space = {
            'state': spaces.Box(-1, 1, (2,), np.float32),
            **bookkeeping_spaces(1),
            'log_x': log_space(),
        }

    def reset(self):
        return self.observe(True)

    def step(self, action):
        self.count += 1
        return self.observe(False)

    def observe(self, first):
        obs = {key: np.zeros(space.shape, space.dtype)[()] for key, space in self.obs_space.items()}
        obs |= {'is_first': np.bool_(first), 'log_x': np.float32(np.nan)}
        if self.count == 2:
            obs[self.key] = obs[self.key] + np.float32(self.bad)
        return obs

    def get_state(self):
        return {}

    def set_state(self, state):
        pass

    def describe(self):
        return {'name': 'broken'}

    def close(self):
        pass


TASKS = ['mario_1-1', 'mario_1-2+1-3', 'atari_pong', 'gym_CartPole-v1', 'gym_Pendulum-v1', 'pixel']


def make(task, seed):
    return ResumableEnv(make_env(task, seed=seed, sticky=0.25, action_repeat=2))


def play(env, steps, seed):
    """Digests of the observations of so many steps, with resets where they are due."""
    rng = np.random.default_rng(seed)
    found, over = [], not env.get_state().get('episode')
    for _ in range(steps):
        obs = env.reset() if over else env.step(sample_action(env, rng))
        over = bool(obs['is_last'])
        found.append(digest(obs))
    return found


@pytest.mark.parametrize('task', TASKS)
def test_it_goes_on_where_it_was(task):
    env = make(task, 0)
    play(env, 33, seed=1)
    state = json.loads(json.dumps(env.get_state()))
    assert 'episode' in state
    expected = play(env, 40, seed=2)
    for other in (env, make(task, 0)):  # A level's first state comes from the seed it is made with.
        assert other.set_state(state) is True
        assert json.loads(json.dumps(other.get_state())) == state
        assert play(other, 40, seed=2) == expected
    env.close()


def test_between_episodes_there_is_nothing_to_play_again():
    env = make('pixel', 0)
    assert env.set_state(json.loads(json.dumps(env.get_state()))) is False
    obs = env.reset()
    while not obs['is_last']:
        obs = env.step(0)
    state = env.get_state()
    assert 'episode' not in state
    assert env.set_state(state) is False
    with pytest.raises(RuntimeError):
        env.step(0)


@pytest.mark.parametrize('what', ['digest', 'actions', 'env'])
def test_what_comes_out_otherwise_must_be_reset(what):
    env = make('gym_CartPole-v1', 0)
    env.reset()
    for _ in range(3):
        env.step(0)
    state = env.get_state()
    changed = {
        'digest': {'digest': '0' * 64},
        'actions': {'actions': [1, 0, 0]},
        'env': {},
    }[what]
    state['episode'] = {**state['episode'], **changed}
    if what == 'env':
        state['env'] = make('gym_CartPole-v1', 9).get_state()['env']
    assert env.set_state(state) is False
    assert env.get_state() == {'env': state['env']}
    with pytest.raises(RuntimeError):
        env.step(0)


@pytest.mark.parametrize('parallel', [False, True])
@pytest.mark.parametrize(('key', 'bad'), [('reward', np.nan), ('state', np.inf)])
def test_numbers_that_are_not_finite_are_refused_with_their_step(key, bad, parallel):
    maker = functools.partial(Broken, key, bad)
    workers = ProcessWorkers([maker]) if parallel else InProcess([maker])
    try:
        workers.reset()
        workers.step([0])
        with pytest.raises(UsageError, match=rf'{key} .*(nan|inf).* on level only, at step 2 of'):
            workers.step([0])
    finally:
        workers.close()


def test_an_episode_that_ends_too_early_must_be_reset():
    env = make('gym_CartPole-v1', 0)
    env.reset()
    env.step(0)
    state = env.get_state()
    state['episode']['actions'] = [0] * 100
    assert env.set_state(state) is False


@pytest.mark.parametrize('parallel', ['none', 'thread', 'process'])
def test_workers_say_who_goes_on(parallel):
    workers = make_workers('pixel', 2, parallel=parallel, seed=3)
    try:
        workers.reset()
        workers.step([0, 1])
        state = workers.get_state()
        expected = workers.step([1, 1])
        del state[1]['episode']
        assert workers.set_state(state) == [True, False]
        workers.reset([1])
        np.testing.assert_array_equal(workers.step([1, 1])[0]['image'], expected[0]['image'])
    finally:
        workers.close()


def test_digest_is_as_before_there_were_arrays_in_the_log():
    obs = {'image': np.zeros((2, 2, 1), np.uint8), 'log_x': np.float32(3)}
    more = {**obs, 'log_player': np.ones(4, np.float32)}
    assert digest(more) == digest(obs)
    assert digest({**obs, 'log_x': np.float32(4)}) != digest(obs)
    assert digest({**obs, 'image': np.ones((2, 2, 1), np.uint8)}) != digest(obs)
