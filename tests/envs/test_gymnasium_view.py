"""Our environments as Gymnasium has them."""

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import dreamerv2.gymnasium_ids  # noqa: F401
from dreamerv2.envs import make_env
from dreamerv2.envs.gymnasium_view import GymnasiumView, make_view
from dreamerv2.errors import UsageError


@pytest.mark.filterwarnings('ignore:.*spec.*')
@pytest.mark.parametrize('task', ['pixel', 'mario_1-1', 'gym_CartPole-v1', 'gym_Pendulum-v1'])
def test_gymnasium_accepts_it(task):
    env = GymnasiumView(lambda seed: make_env(task, seed=seed))
    try:
        check_env(env, skip_render_check=True)
    finally:
        env.close()


def test_gymnasium_makes_every_level_by_its_name():
    assert sum(name.startswith('dreamerv2/Mario-') for name in gymnasium.registry) == 32
    options = {'grayscale': False, 'sticky': 0.0, 'mario_actions': 'right_only'}
    env = gymnasium.make('dreamerv2.gymnasium_ids:dreamerv2/Mario-1-2-v0', **options)
    image, info = env.reset(seed=1)
    assert image.shape == (64, 64, 3) and info['level'] == '1-2' and env.action_space.n == 5
    env.close()


@pytest.mark.filterwarnings('ignore::UserWarning')
def test_gymnasium_accepts_a_level_made_by_its_name():
    env = make_view('mario_1-1', time_limit=50)
    try:
        check_env(env, skip_render_check=True)
        assert env.render().shape == (240, 256, 3)
    finally:
        env.close()
    with pytest.raises(UsageError, match="render_mode 'human'"):
        make_view('mario_1-1', render_mode='human')


def test_it_plays_the_same_game():
    view = GymnasiumView(lambda seed: make_env('mario_1-1', seed=seed, time_limit=30), seed=3)
    env = make_env('mario_1-1', seed=3, time_limit=30)
    actions = np.random.default_rng(0).integers(0, 12, 30)
    try:
        image, info = view.reset()
        np.testing.assert_array_equal(image, env.reset()['image'])
        assert info['level'] == '1-1'
        for action in actions:
            image, reward, terminated, truncated, info = view.step(action)
            obs = env.step(action)
            np.testing.assert_array_equal(image, obs['image'])
            assert (reward, terminated) == (obs['reward'], obs['is_terminal'])
            assert info['log_x'] == obs['log_x']
        assert truncated and not terminated
    finally:
        view.close()
        env.close()
