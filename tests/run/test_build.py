"""From the configuration to environments and agents."""

import pytest

from dreamerv2.config import load_config
from dreamerv2.run import build, devices


@pytest.mark.parametrize(
    ('argv', 'task', 'actions'),
    [
        ([], 'atari_pong', 6),
        (['--atari_all_actions', 'True'], 'atari_pong', 18),
        (['--task', 'atari4'], 'atari_pong', 18),
        (['--task', 'atari_pong+breakout'], 'atari_pong+breakout', 18),
    ],
)
def test_an_agent_of_several_games_has_all_actions_in_each(argv, task, actions):
    config = load_config(['--configs', 'atari', *argv])
    env = build.build_env(config, task, seed=0)
    assert env.act_space.n == actions
    env.close()


@pytest.mark.parametrize('key', ['grayscale', 'atari_grayscale'])
def test_both_keys_for_colour_hold_in_atari(key):
    config = load_config(['--configs', 'atari', f'--{key}', 'False'])
    assert not build.env_options(config, 'atari_pong')['grayscale']
    assert build.env_options(config, 'mario_1-1')['grayscale'] == (key != 'grayscale')


def test_the_options_of_the_preset_reach_the_environment():
    env = build.build_env(load_config(['--configs', 'atari']), 'atari_breakout', seed=3)
    options = env.describe()['options']
    env.close()
    assert options == {
        'seed': 3,
        'action_repeat': 4,
        'sticky': 0.25,
        'time_limit': 27000,
        'size': [64, 64],
        'grayscale': True,
        'all_actions': False,
    }


def test_each_level_of_a_set_is_a_task():
    config = load_config(['--task', 'atari_atari4'])
    tasks = build.single_level_tasks(config.task, build.task_sets(config))
    assert tasks == {name: f'atari_{name}' for name in ('pong', 'breakout', 'freeway', 'seaquest')}
    assert build.single_level_tasks('atari4', build.task_sets(config)) == tasks


@pytest.mark.parametrize(
    ('wanted', 'device', 'name'),
    [
        ('auto', 'cpu', 'cpu'),
        ('auto', 'gpu', 'plain'),
        ('plain', 'cpu', 'plain'),
        ('cpu', 'gpu', 'cpu'),
    ],
)
def test_kernels_are_those_asked_for_or_best_for_the_device(wanted, device, name):
    config = load_config(['--kernels', wanted, '--async_collect', 'True'])
    found = devices.Device(device, device, 'float32', branches=2)
    assert build.kernels_of(config, found) == name
    assert build.learns_ahead(config, found) == (name == 'cpu')


@pytest.mark.parametrize('wanted', ['plain', 'cpu'])
def test_the_agent_is_handed_its_kernels(wanted):
    config = load_config(['--configs', 'mario_small', 'debug', '--kernels', wanted])
    env = build.build_env(config, 'pixel', seed=0)
    device = devices.Device('cpu', 'cpu', 'float32', branches=2)
    agent = build.build_agent(config, env.obs_space, env.act_space, device)
    modules = [m for m in agent.world_model.submodules if hasattr(m, '_kernels')]
    modules += [m for m in agent.actor_critic.submodules if hasattr(m, '_kernels')]
    assert len(modules) > 20
    (kernels,) = {m._kernels for m in (agent.world_model, *modules)}
    assert getattr(kernels, 'branches', None) == (2 if wanted == 'cpu' else None)
    assert kernels.caller_acts == (wanted == 'cpu')
