"""Environments of the old and the new interface, inside wrappers of either."""

import gym
import gym.wrappers
import gymnasium
import gymnasium.wrappers
import numpy as np
import pytest
from env_examples import OldGymEnv
from gym_super_mario_bros import SuperMarioBrosEnv
from gym_super_mario_bros.actions import SIMPLE_MOVEMENT
from nes_py.wrappers import JoypadSpace

from dreamerv2.envs import make_env, wrap_env
from dreamerv2.envs.contract import check_env
from dreamerv2.errors import UsageError


class Old(gym.Env):
    """Draws its observations from a generator; how that is seeded is up to those below."""

    observation_space = gym.spaces.Box(0, 1, (3,), np.float32)
    action_space = gym.spaces.Discrete(2)
    length = 5

    def __init__(self):
        self.random = np.random.RandomState(0)

    def reset(self):
        self.steps = 0
        return self.observe()

    def step(self, action):
        self.steps += 1
        return self.observe(), 1.0, self.steps == self.length, {}

    def observe(self):
        return self.random.uniform(size=3).astype(np.float32)


class Unseeded(Old):
    """Cannot be seeded."""


class Attribute(Old):
    """`seed` is a number."""

    seed = 42


class WithoutArgument(Old):
    """`seed` is a method, but takes none."""

    def seed(self):
        raise AssertionError('it is not asked')


class Method(Old):
    """The old way."""

    def seed(self, seed=None):
        self.random = np.random.RandomState(seed % 2**31)
        return [seed]


class InReset(Old):
    """Half of the new way: a seed is taken, but there is no info."""

    def reset(self, seed=None):
        if seed is not None:
            self.random = np.random.RandomState(seed)
        return super().reset()


class InfoToo(InReset):
    """More than half of it: `step` has four values."""

    def reset(self, *, seed=None, options=None):
        return super().reset(seed), {'info': 1}


class New(InfoToo):
    """The new way."""

    def step(self, action):
        observation, reward, done, info = super().step(action)
        return observation, reward, done, False, info


class Rejecting(gym.Wrapper):
    """Neither takes a seed nor options, and hands on whatever comes."""

    def reset(self):
        return self.env.reset()


class OldStyle(gym.Wrapper):
    """Unpacks what old environments give."""

    def reset(self):
        observation = self.env.reset()
        assert isinstance(observation, np.ndarray)
        return observation

    def step(self, action):
        observation, reward, done, info = self.env.step(action)
        return observation, 2 * reward, done, info


class Doubled(gym.ObservationWrapper):
    """Its `reset` and `step` are Gym's, and unpack what new environments give."""

    def observation(self, observation):
        return observation / 2


class Inherited(gym.Wrapper):
    """Changes nothing; `reset` and `step` are Gym's own."""


class GymnasiumWrapper(gymnasium.Wrapper):
    """Its `reset` is Gymnasium's, and hands on seed and options."""

    def __init__(self, env):  # Gymnasium's own refuses what is of Gym.
        self.env = env
        self.observation_space, self.action_space = env.observation_space, env.action_space


SEEDED = (Method, InReset, InfoToo, New)
UNSEEDED = (Unseeded, Attribute, WithoutArgument)
STACKS = {
    'bare': lambda env: env,
    'rejecting': Rejecting,
    'time limit': lambda env: gym.wrappers.TimeLimit(env, 4),
    'as made by id': lambda env: gym.wrappers.TimeLimit(gym.wrappers.OrderEnforcing(env), 4),
    'observation': Doubled,
    'inherited': Inherited,
    'rejecting inside': lambda env: Doubled(Rejecting(env)),
    'rejecting outside': lambda env: Rejecting(Doubled(env)),
    'several': lambda env: Doubled(Inherited(Rejecting(gym.wrappers.TimeLimit(env, 4)))),
    'of Gymnasium': GymnasiumWrapper,
    'rejecting inside of Gymnasium': lambda env: GymnasiumWrapper(Rejecting(env)),
}


@pytest.mark.parametrize('stack', STACKS)
@pytest.mark.parametrize('kind', SEEDED)
def test_seeded_environments_keep_the_contract_in_any_wrapper(kind, stack):
    env = wrap_env(STACKS[stack](kind()), seed=3)
    env.probe()
    check_env(env, max_steps=10)
    assert not any('no seed' in line for line in env.describe()['overview'])
    first = env.reset()['vector']
    other = wrap_env(STACKS[stack](kind()), seed=4)
    assert (other.reset()['vector'] != first).any()


@pytest.mark.parametrize('stack', STACKS)
@pytest.mark.parametrize('kind', UNSEEDED)
def test_others_play_too_and_say_that_they_cannot_be_seeded(kind, stack):
    env = wrap_env(STACKS[stack](kind()), seed=3)
    env.probe()
    observation = env.reset()
    steps = 0
    while not observation['is_last']:
        observation = env.step(1)
        steps += 1
    assert steps in (4, 5) and observation['reward'] == 1
    assert observation['is_terminal'] == (steps == 5)
    assert 'no seed' in env.describe()['overview'][-1]


@pytest.mark.parametrize('kind', [Unseeded, Method, InReset])
def test_old_wrappers_around_old_environments_get_what_they_always_got(kind):
    for stack in (
        OldStyle,
        lambda env: OldStyle(Inherited(env)),
        lambda env: Doubled(OldStyle(env)),
    ):
        env = wrap_env(stack(kind()), seed=3)
        env.probe()
        env.reset()
        assert env.step(0)['reward'] == 2


def test_an_old_wrapper_around_a_new_environment_is_refused_in_one_line():
    env = wrap_env(OldStyle(New()))
    with pytest.raises(UsageError, match=r'its reset\(\) failed, AssertionError.* line') as error:
        env.probe()
    assert '\n' not in str(error.value)


def test_new_environments_are_seeded_through_a_wrapper_that_rejects_it():
    class Named(gymnasium.Wrapper):
        def reset(self):
            return self.env.reset()

    def made():
        return wrap_env(Named(gymnasium.make('CartPole-v1')), seed=5)

    check_env(made(), max_steps=20)
    np.testing.assert_array_equal(made().reset()['vector'], made().reset()['vector'])


def test_a_wrapper_of_no_library_may_hand_on_a_seed_to_what_rejects_it():
    class Inside:
        observation_space, action_space = Old.observation_space, Old.action_space

        def reset(self):
            return np.zeros(3, np.float32)

        def step(self, action):
            return np.zeros(3, np.float32), 1.0, False, {}

    class HandMade:
        def __init__(self, inside):
            self.inside = inside
            self.observation_space = inside.observation_space
            self.action_space, self.step = inside.action_space, inside.step

        def reset(self, **kwargs):
            return self.inside.reset(**kwargs)

    env = wrap_env(HandMade(Inside()))
    env.probe()
    assert not env.reset()['is_last'] and env.step(1)['reward'] == 1


def test_the_probe_does_not_change_what_comes():
    for kind in SEEDED:
        probed, fresh = wrap_env(kind(), seed=3), wrap_env(kind(), seed=3)
        probed.probe()
        np.testing.assert_array_equal(probed.reset()['vector'], fresh.reset()['vector'])


@pytest.mark.parametrize(
    'make',
    [
        lambda: gym.wrappers.ResizeObservation(
            JoypadSpace(SuperMarioBrosEnv(target=(1, 2)), SIMPLE_MOVEMENT), 84
        ),
        lambda: gym.wrappers.FrameStack(
            gym.wrappers.ResizeObservation(
                JoypadSpace(gym.make('SuperMarioBros-1-2-v3'), SIMPLE_MOVEMENT), 84
            ),
            4,
        ),
    ],
    ids=['resized', 'stacked as the documentation of the game has it'],
)
@pytest.mark.filterwarnings('ignore::UserWarning')
def test_the_game_in_its_own_and_in_gyms_wrappers(make):
    env = wrap_env(make(), seed=1)
    env.probe()
    check_env(env, max_steps=6)
    assert env.act_space.n == len(SIMPLE_MOVEMENT)
    env.close()


def test_the_game_by_id():
    env = make_env('gym_gym_super_mario_bros:SuperMarioBros-1-1-v0', seed=1, time_limit=5)
    check_env(env, max_steps=6)
    assert env.obs_space['image'].shape == (64, 64, 1)
    env.close()


@pytest.mark.parametrize(
    'result, words',
    [
        ((1, 2, 3), 'returned 3 values'),
        (7, 'returned 1 values'),
        ((np.zeros(3), [1.0, 2.0], False, {}), r'the reward \[1.0, 2.0\]'),
        ((np.zeros(3), None, False, {}), 'the reward None'),
        ((np.zeros(3), {'a': 1}, False, False, {}), "the reward {'a': 1}"),
    ],
)
def test_a_step_that_is_none(result, words):
    class Odd(Old):
        def step(self, action):
            return result

    with pytest.raises(UsageError, match=f'Odd: step.*{words}'):
        wrap_env(Odd()).probe()


def test_vectors_of_environments_and_classes_are_refused():
    several = gymnasium.make_vec('CartPole-v1', 2, vectorization_mode='sync')
    with pytest.raises(UsageError, match='a vector of 2 environments'):
        wrap_env(several)
    one = gymnasium.make_vec('CartPole-v1', 1, vectorization_mode='sync')
    with pytest.raises(UsageError, match='a vector of 1 environments'):
        wrap_env(one)
    with pytest.raises(UsageError, match='a vector of 2 environments'):
        wrap_env(gym.vector.SyncVectorEnv([OldGymEnv, OldGymEnv]))
    with pytest.raises(UsageError, match=r'OldGymEnv is a class.*OldGymEnv\(\)'):
        wrap_env(OldGymEnv)
