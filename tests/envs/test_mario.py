"""The Mario environment is the package's, frame by frame."""

import pathlib

import cv2
import numpy as np
import pytest

from dreamerv2.envs import make_env
from dreamerv2.envs.mario import button_bytes
from dreamerv2.errors import UsageError
from dreamerv2.quiet import import_quietly

TRACES = np.load(pathlib.Path(__file__).parents[1] / 'reference' / 'mario_traces.npz')


@pytest.mark.parametrize('level', ['3-1', '3-2', '3-3', '3-4'])
def test_reproduces_reference_trace(level):
    env = make_env(f'mario_{level}', sticky=0.0)
    images = TRACES[f'{level}/image']
    observation = env.reset()
    assert observation['image'].shape == (64, 64, 1)
    np.testing.assert_array_equal(observation['image'][:, :, 0], images[0])
    for step, action in enumerate(TRACES[f'{level}/action']):
        observation = env.step(int(action))
        np.testing.assert_array_equal(observation['image'][:, :, 0], images[step + 1])
        assert observation['reward'] == TRACES[f'{level}/reward'][step]
        assert observation['is_last'] == TRACES[f'{level}/done'][step]
        assert observation['is_terminal'] == observation['is_last']
        assert observation['log_x'] == TRACES[f'{level}/x_pos'][step]
        assert observation['log_completed'] == 0
    env.close()


@pytest.mark.parametrize('level, repeat, gray', [('1-2', 4, True), ('4-4', 3, False)])
def test_is_a_plain_run_of_the_package(level, repeat, gray):
    package = import_quietly('gym_super_mario_bros.smb_env')
    actions = import_quietly('gym_super_mario_bros.actions').COMPLEX_MOVEMENT
    buttons = {'right': 128, 'left': 64, 'down': 32, 'up': 16, 'B': 2, 'A': 1, 'NOOP': 0}
    game = package.SuperMarioBrosEnv(target=tuple(int(part) for part in level.split('-')))
    env = make_env(f'mario_{level}', sticky=0.0, action_repeat=repeat, grayscale=gray)
    draw = np.random.default_rng(7)
    screen, done = game.reset(), True
    env.reset()
    for _ in range(50):
        if done:
            screen, observation = game.reset(), env.reset()
            reward, done = 0.0, False
        else:
            action, reward = int(draw.choice([1, 2, 3, 4, 5, 6, 10, 11])), 0.0
            observation = env.step(action)
            for _ in range(repeat):
                byte = sum(buttons[name] for name in actions[action])
                screen, frame_reward, done, info = game.step(byte)
                reward += frame_reward
                if done:
                    break
            assert observation['log_x'] == info['x_pos']
        expected = np.ascontiguousarray(screen)
        if gray:
            expected = cv2.cvtColor(expected, cv2.COLOR_RGB2GRAY)
        expected = cv2.resize(expected, (64, 64), interpolation=cv2.INTER_AREA)
        np.testing.assert_array_equal(observation['image'].reshape(expected.shape), expected)
        np.testing.assert_array_equal(env.render(), screen)
        assert (observation['reward'], observation['is_last']) == (reward, done)
    env.close()
    game.close()


def test_sticky_repeats_what_was_executed():
    constant, sticky = make_env('mario_1-1', sticky=0.0), make_env('mario_1-1', sticky=1.0)
    constant.reset()
    sticky.reset()
    for action in (4, 0, 6, 1, 11, 4, 7, 2):
        one, other = constant.step(4), sticky.step(action)
        np.testing.assert_array_equal(one['image'], other['image'])
        assert one['reward'] == other['reward']
    constant.close()
    sticky.close()


def test_default_sticky_depends_on_the_seed():
    actions = np.random.default_rng(0).integers(12, size=20)

    def play(seed):
        env = make_env('mario_1-1', seed=seed)
        assert (env.sticky, env.action_repeat) == (0.2, 4)
        env.reset()
        rewards = [float(env.step(int(action))['reward']) for action in actions]
        env.close()
        return rewards

    assert play(0) == play(0) != play(1)


def test_running_into_the_first_enemy_is_a_terminal_death():
    env = make_env('mario_1-1', sticky=0.0, time_limit=1000)
    env.reset()
    observation = env.step(3)
    while not observation['is_last']:
        observation = env.step(3)
    assert observation['is_terminal'] and observation['log_completed'] == 0
    assert observation['reward'] < -10
    assert 0 < observation['log_progress'] < 0.15
    env.close()


def test_clock_out_is_terminal():
    env = make_env('mario_1-1', sticky=0.0)
    env.reset()
    env._game.ram[0x7F8:0x7FB] = (0, 0, 2)  # two ticks left
    observation = env.step(0)
    for _ in range(30):
        if observation['is_last']:
            break
        observation = env.step(0)
    assert observation['is_terminal'] and observation['log_completed'] == 0
    env.close()


def test_button_bytes():
    assert button_bytes([['NOOP'], ['right', 'A', 'B'], ['left'], ['down'], ['up']]) == (
        0,
        131,
        64,
        32,
        16,
    )


def test_description_names_the_cartridge():
    env = make_env('mario_8-4', seed=3, time_limit=9)
    description = env.describe()
    assert description['name'] == 'mario_8-4'
    assert description['options']['time_limit'] == 9
    assert len(description['rom_sha256']) == 64
    assert description['packages']['gym-super-mario-bros'] == '7.4.0'
    env.close()


def test_unknown_level():
    with pytest.raises(UsageError, match='1-1 to 8-4'):
        make_env('mario_9-1')
