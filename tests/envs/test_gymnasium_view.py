"""Our environments as Gymnasium has them."""

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from dreamerv2.envs import make_env
from dreamerv2.envs.gymnasium_view import GymnasiumView


@pytest.mark.filterwarnings('ignore:.*spec.*')
@pytest.mark.parametrize('task', ['pixel', 'mario_1-1', 'gym_CartPole-v1', 'gym_Pendulum-v1'])
def test_gymnasium_accepts_it(task):
    env = GymnasiumView(lambda seed: make_env(task, seed=seed))
    try:
        check_env(env, skip_render_check=True)
    finally:
        env.close()


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
