"""The pixel task's returns are what they are said to be."""

import numpy as np
import pytest

from dreamerv2.envs import make_env
from dreamerv2.envs.pixel_task import draw, expected_returns, step_reward


def best_action(env):
    down, right = np.sign(env._target - env._position)
    return {(-1, 0): 0, (1, 0): 1, (0, -1): 2, (0, 1): 3}.get(
        (int(down), 0) if down else (0, int(right)), 0
    )


def returns(env, policy, episodes):
    result = []
    for _ in range(episodes):
        observation, total = env.reset(), 0.0
        while not observation['is_last']:
            observation = env.step(policy(env))
            total += observation['reward']
        assert observation['is_terminal']
        result.append(total)
    return np.array(result)


def test_random_and_optimal_return():
    env = make_env('pixel', seed=4)
    generator = np.random.default_rng(0)
    random = returns(env, lambda env: generator.integers(4), 1500)
    assert random.mean() == pytest.approx(env.random_return, abs=4 * random.std() / 1500**0.5)

    def play_well(env):
        # At the target, moving out of the grid stays there.
        corner = 0 if env._target[0] == 0 else 1
        return corner if (env._position == env._target).all() else best_action(env)

    optimal = returns(env, play_well, 500)
    assert optimal.mean() == pytest.approx(env.optimal_return, abs=0.3)
    assert optimal.min() >= 11
    assert env.optimal_return - env.random_return > 10
    assert expected_returns(0) == (0, 0)


def test_rewards_and_picture():
    corner = np.array([0, 0])
    assert step_reward(corner, corner) == 1
    assert step_reward(np.array([3, 3]), corner) == -1
    image = draw(np.array([1, 2]), corner, 0.5)
    assert image.shape == (64, 64, 1) and image.dtype == np.uint8
    assert image[22, 37] == 255 and image[0, 0] == 128 and image[7, 7] == 40
    assert (image[-1, :32] == 200).all() and (image[-1, 32:] == 0).all()


def test_colour_and_size():
    env = make_env('pixel', grayscale=False, size=(32, 48), time_limit=5)
    image = env.reset()['image']
    assert image.shape == (32, 48, 3) and image.dtype == np.uint8
    assert env.render().shape == (256, 256, 3)
    last = [env.step(0) for _ in range(5)][-1]
    assert last['is_last'] and not last['is_terminal']
