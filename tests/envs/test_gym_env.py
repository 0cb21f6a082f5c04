"""Gym and Gymnasium environments, old and new."""

import gymnasium
import numpy as np
import pytest
from env_examples import NewGymnasiumEnv, OldGymEnv

from dreamerv2.envs import make_env, wrap_env
from dreamerv2.envs.episodic import shrink
from dreamerv2.envs.gym_interface import split_reset, split_step
from dreamerv2.envs.gym_spaces import action_space
from dreamerv2.errors import UsageError


def play(env, action):
    """All observations of an episode with one action."""
    observations = [env.reset()]
    while not observations[-1]['is_last']:
        observations.append(env.step(action))
    return observations


@pytest.mark.parametrize('ends, terminal', [('terminated', 1), ('truncated', 0), ('both', 1)])
def test_new_interface_keeps_truncation_apart(ends, terminal):
    last = play(wrap_env(NewGymnasiumEnv(ends=ends)), np.zeros(3, np.float32))[-1]
    assert last['is_last'] and last['is_terminal'] == terminal


@pytest.mark.parametrize('truncated', [False, True])
def test_old_interface_keeps_truncation_apart(truncated):
    last = play(wrap_env(OldGymEnv(truncated=truncated)), 1)[-1]
    assert last['is_last'] and last['is_terminal'] == (not truncated)


def test_forms_of_step_and_reset():
    assert split_step((1, 2, True, {})) == (1, 2.0, True, False)
    assert split_step((1, 2, True, None)) == (1, 2.0, True, False)
    assert split_step((1, 2, True, {'TimeLimit.truncated': True})) == (1, 2.0, False, True)
    assert split_step((1, 2, False, {'TimeLimit.truncated': True})) == (1, 2.0, False, False)
    assert split_step((1, 2, True, True, {})) == (1, 2.0, True, True)
    with pytest.raises(UsageError, match='3 values'):
        split_step((1, 2, 3))
    assert split_reset((7, {'a': 1})) == 7
    assert split_reset((7, 8)) == (7, 8)
    assert split_reset(7) == 7


def test_time_limit_of_an_id_is_a_truncation():
    observations = play(make_env('gym_MountainCar-v0', action_repeat=4), 1)
    assert len(observations) == 51  # 200 steps of the environment
    assert observations[-1]['is_last'] and not observations[-1]['is_terminal']
    assert observations[1]['reward'] == -4


def test_image_is_gray_and_small_and_no_live_view():
    game = OldGymEnv()
    env = wrap_env(game, size=(24, 20), seed=1)
    first = env.reset()
    np.testing.assert_array_equal(first['image'], shrink(game.image, (24, 20), True))
    kept = first['image'].copy()
    env.step(0)
    np.testing.assert_array_equal(first['image'], kept)
    assert env.obs_space['image'].shape == (24, 20, 1)
    colour = wrap_env(OldGymEnv(), grayscale=False)
    assert colour.reset()['image'].shape == (64, 64, 3)


def test_every_episode_is_seeded_from_the_generator():
    game = OldGymEnv()
    env = wrap_env(game, seed=9)
    state = env.get_state()
    images = [env.reset()['image'], env.reset()['image']]
    assert len(set(game.seeds)) == 2
    assert (images[0] != images[1]).any()
    env.set_state(state)
    np.testing.assert_array_equal(env.reset()['image'], images[0])
    np.testing.assert_array_equal(wrap_env(OldGymEnv(), seed=9).reset()['image'], images[0])


def test_dictionaries_keep_their_names():
    env = wrap_env(NewGymnasiumEnv(), size=(16, 16), grayscale=False, seed=1)
    shapes = {key: space.shape for key, space in env.obs_space.items() if space.shape}
    assert shapes == {
        'camera': (16, 16, 3),
        'body/angle': (4,),
        'body/gear': (4,),
        'height': (1,),
        'switches': (5,),
    }
    observation = env.reset()
    assert observation['body/gear'].sum() == 1
    assert observation['switches'].sum() == 2
    assert env.levels == ['NewGymnasiumEnv']


def test_box_actions_are_rescaled_where_bounded():
    game = NewGymnasiumEnv()
    env = wrap_env(game)
    env.reset()
    for action in ([-1, -1, -1], [0, 0.5, 0], [1, 1, 1], [3, -3, 3]):
        env.step(np.array(action, np.float32))
    expected = [[0, -2, -1], [5, 1, 0], [10, 2, 1], [10, -2, 1]]
    np.testing.assert_allclose(game.actions, expected)
    assert game.actions[0].dtype == np.float32


def test_discrete_actions_may_start_elsewhere():
    space, convert = action_space(gymnasium.spaces.Discrete(3, start=5))
    assert (space.n, convert(0), convert(2)) == (3, 5, 7)


def test_wrappers_around_old_environments_work():
    class Wrapper:
        """Passes everything on, also a seed that the inner `reset` does not take."""

        def __init__(self, env):
            self.unwrapped = env
            self.observation_space, self.action_space = env.observation_space, env.action_space
            self.seed, self.step = env.seed, env.step

        def reset(self, **kwargs):
            return self.unwrapped.reset(**kwargs)

    game = OldGymEnv()
    observations = play(wrap_env(Wrapper(game), name='mine', seed=2), 1)
    assert len(observations) == 7 and len(game.seeds) == 1


@pytest.mark.parametrize('shape', [(40, 40), (40, 40, 2), (5, 40, 40), (3, 40, 40, 3)])
def test_there_is_a_picture_for_a_person_whatever_the_channels(shape):
    class Stack(gymnasium.Env):
        observation_space = gymnasium.spaces.Box(0, 255, shape, np.uint8)
        action_space = gymnasium.spaces.Discrete(2)

        def reset(self, *, seed=None, options=None):
            return np.full(shape, 9, np.uint8), {}

    env = wrap_env(Stack())
    assert env.render() is None
    env.reset()
    assert env.render().shape == (64, 64, 3) and (env.render() == 9).all()


def test_close_reaches_the_environment_once():
    game = OldGymEnv()
    env = wrap_env(game)
    env.close()
    env.close()
    assert game.closed == 1


def test_missing_dependency_is_a_usage_error(monkeypatch):
    def absent(**kwargs):
        raise gymnasium.error.DependencyNotInstalled('engine is not installed')

    gymnasium.register('Needy-v0', entry_point=absent)
    try:
        with pytest.raises(UsageError, match='Needy-v0 cannot be made: engine is not installed'):
            make_env('gym_Needy-v0')
    finally:
        gymnasium.registry.pop('Needy-v0')
