"""The pixel task's returns are what they are said to be."""

import numpy as np
import pytest

from dreamerv2.envs import make_env
from dreamerv2.envs.pixel_task import draw, expected_returns, step_reward


def returns(env, policy, episodes):
    """Return of each of some episodes; the policy sees the picture."""
    result = []
    for _ in range(episodes):
        observation, total = env.reset(), 0.0
        while not observation['is_last']:
            observation = env.step(policy(observation['image'][:, :, 0]))
            total += observation['reward']
        assert observation['is_terminal']
        result.append(total)
    return np.array(result)


def best_action(image):
    """Left (0), right (1) or stay (2), from what can be seen."""
    block = np.flatnonzero(image[32] == 255)[0]
    column = np.flatnonzero(image[4] == 100)[0]
    return 2 if block == column else int(block < column)


def test_random_and_optimal_return():
    env = make_env('pixel', seed=4)
    generator = np.random.default_rng(0)
    random = returns(env, lambda image: generator.integers(3), 1500)
    assert random.mean() == pytest.approx(env.random_return, abs=4 * random.std() / 1500**0.5)
    optimal = returns(env, best_action, 500)
    assert optimal.mean() == pytest.approx(env.optimal_return, abs=0.2)
    assert optimal.min() >= 11
    assert env.optimal_return - env.random_return > 10
    assert expected_returns(0) == (0, 0)


def test_rewards_and_picture():
    assert step_reward(np.array([0, 5, 1]), np.array([0, 0, 5])) == pytest.approx([1, -1, -0.6])
    image = draw(3, 0, 0.5)
    assert image.shape == (64, 64, 1) and image.dtype == np.uint8
    assert (image[20, 30:40] == 255).all() and (image[20, :10] == 100).all()
    assert image[20, 29] == image[20, 40] == image[10, 35] == 0
    assert (image[-1, :32] == 180).all() and (image[-1, 32:] == 0).all()


def test_colour_and_size():
    env = make_env('pixel', grayscale=False, size=(32, 48), time_limit=5)
    image = env.reset()['image']
    assert image.shape == (32, 48, 3) and image.dtype == np.uint8
    assert env.render().shape == (256, 256, 3)
    last = [env.step(0) for _ in range(5)][-1]
    assert last['is_last'] and not last['is_terminal']
