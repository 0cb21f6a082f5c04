"""Several environments as one."""

import functools
import json

import numpy as np
import pytest
from env_examples import Recorder

from dreamerv2.envs import make_env
from dreamerv2.envs.multi_level import MultiLevelEnv, normalize_weights
from dreamerv2.errors import UsageError


def levels_env(made=None, count=4, **options):
    """Levels `a`, `b`, ... whose making is noted in a list."""

    def make(name):
        if made is not None:
            made.append(name)
        return Recorder(frames=2, name=name)

    names = 'abcdefgh'[:count]
    return MultiLevelEnv({name: functools.partial(make, name) for name in names}, **options)


def draws(env, count):
    return [int(env.reset()['level']) for _ in range(count)]


def test_environments_are_made_when_first_drawn():
    made = []
    env = levels_env(made, count=8, seed=1)
    assert made == ['a']
    levels = draws(env, 3)
    assert set(made) == {'a'} | {'abcdefgh'[level] for level in levels}
    draws(env, 200)
    assert sorted(made) == list('abcdefgh')


def test_draws_are_uniform_or_weighted():
    counts = np.bincount(draws(levels_env(seed=3), 4000), minlength=4)
    assert ((counts - 1000) ** 2 / 1000).sum() < 16.3  # chi-square, 3 degrees, p = 0.001
    counts = np.bincount(draws(levels_env(seed=3, weights=[1, 0, 3, 4]), 4000), minlength=4)
    expected = np.array([500, 0, 1500, 2000])
    assert counts[1] == 0
    assert ((counts - expected)[[0, 2, 3]] ** 2 / expected[[0, 2, 3]]).sum() < 13.8


def test_draws_follow_from_the_seed_and_the_state():
    assert draws(levels_env(seed=1), 50) == draws(levels_env(seed=1), 50)
    assert draws(levels_env(seed=1), 50) != draws(levels_env(seed=2), 50)
    env = levels_env(seed=1)
    draws(env, 3)
    state = json.loads(json.dumps(env.get_state()))
    following = draws(env, 50)
    assert draws(env, 50) != following
    env.set_state(state)
    assert draws(env, 50) == following
    other = levels_env(seed=7)
    other.set_state(state)
    assert draws(other, 50) == following


def test_state_carries_the_levels_own_generators():
    def make(**options):
        makers = {
            name: functools.partial(Recorder, name=name, sticky=0.5, seed=seed, **options)
            for seed, name in enumerate('ab')
        }
        return MultiLevelEnv(makers, seed=5)

    def play(env, episodes):
        result = []
        for _ in range(episodes):
            result.append(int(env.reset()['level']))
            for step in range(6):
                env.step(step % 4)
            result.extend(env._made[env.levels[env._level]].executed)
        return result

    env = make()
    start = env.get_state()
    play(env, 4)
    state = json.loads(json.dumps(env.get_state()))
    following = play(env, 6)
    other = make()
    other.set_state(state)
    assert play(other, 6) == following
    first = play(make(), 10)
    env.set_state(start)
    assert play(env, 10) == first


def test_level_is_told_in_every_step_and_episodes_end():
    env = levels_env(seed=2)
    for _ in range(10):
        level = env.reset()['level']
        for last in (False, True):
            observation = env.step(1)
            assert observation['level'] == level and observation['is_last'] == last
        with pytest.raises(RuntimeError):
            env.step(1)
    assert env.levels == list('abcd')
    assert env.obs_space['level'].high == 3


def test_spaces_that_differ_are_refused_naming_the_two():
    env = MultiLevelEnv({'small': Recorder, 'big': lambda: Recorder(actions=9)}, weights=[0, 1])
    with pytest.raises(UsageError, match=r'small and big .*Discrete\(4\).*Discrete\(9\)'):
        env.reset()
    env = MultiLevelEnv({'a': Recorder, 'b': lambda: Recorder(action_repeat=2)}, weights=[0, 1])
    with pytest.raises(UsageError, match='a and b .*repeated 1 and 2 times'):
        env.reset()
    env = make_env('gym_Acrobot-v1+MountainCar-v0', level_weights=[0, 1])
    with pytest.raises(UsageError, match="Acrobot-v1 and MountainCar-v0 .*'vector' is Box"):
        env.reset()


def test_weights():
    np.testing.assert_allclose(normalize_weights(None, 4), [0.25] * 4)
    np.testing.assert_allclose(normalize_weights([], 2), [0.5] * 2)
    np.testing.assert_allclose(normalize_weights([1, 3], 2), [0.25, 0.75])
    for bad in ([1], [1, -1], [0, 0], [1, float('nan')], [1, float('inf')]):
        with pytest.raises(UsageError, match='level_weights'):
            normalize_weights(bad, 2)


def test_mario_levels_share_an_agent():
    env = make_env('mario_e4', seed=1, time_limit=2)
    assert env.levels == ['3-1', '3-2', '3-3', '3-4']
    first, second = env.reset(), env.step(1)
    assert first['level'] == second['level']
    assert env.describe()['name'] == 'mario_3-1+3-2+3-3+3-4'
    assert env.render().shape == (240, 256, 3)
    env.close()
