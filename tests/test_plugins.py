"""A package that adds environments, made in a folder: found, used, and named when it is broken."""

import json
import sys

import pytest

from dreamerv2 import api, plugins, train
from dreamerv2.envs import check_task, make_env
from dreamerv2.errors import UsageError
from dreamerv2.run import checkpoint

MODULE = """
import gymnasium
import numpy as np

class Corridor(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(-1, 1, (2,))
    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, length):
        self.length = length

    def reset(self, seed=None, options=None):
        self.at = 0
        return np.zeros(2, np.float32), {}

    def step(self, action):
        self.at += int(action)
        place = np.full(2, self.at / self.length, np.float32)
        return place, float(action), self.at >= self.length, False, {}

def make(name):
    return Corridor({'short': 3, 'long': 6}[name])
"""


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Installs an add-on whose entry points are the given lines."""

    def install(lines, name='addon', module=MODULE):
        (tmp_path / f'{name}.py').write_text(module)
        info = tmp_path / f'{name}-1.0.dist-info'
        info.mkdir()
        (info / 'METADATA').write_text(f'Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n')
        (info / 'entry_points.txt').write_text(lines)
        monkeypatch.delitem(sys.modules, name, raising=False)
        monkeypatch.syspath_prepend(str(tmp_path))

    return install


ENVIRONMENTS = '[dreamerv2.environments]\nmaze = addon:make\n'


def test_a_family_that_a_package_adds_is_a_task(package):
    package(ENVIRONMENTS)
    check_task('maze_short')
    env = make_env('maze_short+long', seed=1)
    assert env.levels == ['short', 'long']
    lengths = set()
    for _ in range(10):
        obs, steps = env.reset(), 0
        while not obs['is_last']:
            obs, steps = env.step(1), steps + 1
        lengths.add(steps)
        assert obs['is_terminal']
    assert lengths == {3, 6}


def test_a_run_on_it_is_named_after_it_and_resumes(package, tmp_path, capfd):
    package(ENVIRONMENTS)
    flags = [
        '--configs',
        'control',
        'debug',
        '--task',
        'maze_short',
        '--logdir',
        str(tmp_path / 'run'),
    ]
    assert train.main(flags + ['--steps', '300']) == 0
    assert train.main(flags + ['--steps', '400']) == 0
    agent = api.load(tmp_path / 'run')
    env = agent.make_env()
    assert env.describe()['name'] == 'maze_short'
    action, _ = agent.act(env.reset())
    assert env.step(action)['reward'] == 2 * action  # of two frames


@pytest.mark.parametrize(
    ('lines', 'task', 'said'),
    [
        ('', 'maze_short', "unknown task 'maze_short'"),
        (ENVIRONMENTS, 'maze_', "unknown task 'maze_'"),
        (ENVIRONMENTS, 'maze_huge', 'task maze_huge cannot be made: KeyError'),
        (
            '[dreamerv2.environments]\nmaze = addon:gone\n',
            'maze_short',
            'addon:gone, cannot be imported',
        ),
        ('[dreamerv2.environments]\nmario = addon:make\n', 'mario_9-9', 'unknown level'),
    ],
)
def test_what_cannot_be_used_is_named_in_one_line(package, lines, task, said):
    package(lines)
    with pytest.raises(UsageError) as caught:
        check_task(task)
    assert said in str(caught.value) and '\n' not in str(caught.value)


def test_two_packages_with_one_name_are_refused(package):
    package(ENVIRONMENTS)
    package('[dreamerv2.environments]\nmaze = other:make\n', name='other')
    with pytest.raises(UsageError, match='addon:make and other:make: uninstall one'):
        plugins.load('environments', 'maze')


CALLBACK = """
from dreamerv2.run.callbacks import Callback

class Count(Callback):
    episodes = 0

    def on_episode(self, episode):
        self.episodes += 1

    def on_log(self, metrics):
        metrics['counted_episodes'] = self.episodes

nothing = 3
"""
CALLBACKS = '[dreamerv2.callbacks]\ncount = addon:Count\nnothing = addon:nothing\n'
PIXEL = ['--configs', 'mario_small', 'debug', '--task', 'pixel', '--steps', '300']


def test_a_callback_that_a_package_adds_counts_and_is_logged(package, tmp_path):
    package(CALLBACKS, module=CALLBACK)
    assert train.main(PIXEL + ['--logdir', str(tmp_path / 'run'), '--callbacks', 'count']) == 0
    rows = [json.loads(row) for row in (tmp_path / 'run/metrics.jsonl').read_text().splitlines()]
    last = max(at for at, row in enumerate(rows) if 'counted_episodes' in row)
    episodes = sum('train_return' in row for row in rows[:last])
    assert rows[last]['counted_episodes'] == episodes > 1


@pytest.mark.parametrize(
    ('name', 'said'),
    [
        ('missing', "no package adds 'missing' to dreamerv2.callbacks: count, nothing"),
        ('nothing', 'callbacks nothing: 3 is not a class of'),
    ],
)
def test_a_callback_that_cannot_be_used_is_refused(package, tmp_path, capfd, name, said):
    package(CALLBACKS, module=CALLBACK)
    assert train.main(PIXEL + ['--logdir', str(tmp_path / 'run'), '--callbacks', name]) == 2
    assert said in capfd.readouterr().err
    assert not (tmp_path / 'run').exists()


LEARNED = """
import tensorflow as tf

from dreamerv2.agent.exploration import Random
from dreamerv2.agent.world_model import Target

class Curious(Random):
    def update(self, start, mask, level):
        return {'curious_rows': tf.reduce_sum(tf.cast(mask, tf.float32))}

near = Target(
    'reward',
    lambda reward, config: tf.cast(reward > 0, tf.float32),
    network={'dist': 'binary'},
)
"""
HEADS = """[dreamerv2.heads]
near = addon:near
reward = addon:near
[dreamerv2.behaviors]
curious = addon:Curious
"""


@pytest.mark.slow
def test_a_head_and_a_behavior_that_a_package_adds_learn(package, tmp_path, capfd):
    package(HEADS, module=LEARNED)
    flags = [*PIXEL, '--logdir', str(tmp_path / 'run')]
    added = ['--heads', 'near', '--expl_behavior', 'curious', '--loss_scales.near', '2']
    assert train.main(flags + added) == 0
    rows = [json.loads(row) for row in (tmp_path / 'run/metrics.jsonl').read_text().splitlines()]
    learned = [row for row in rows if 'near_loss' in row]
    assert 0 < learned[-1]['near_loss'] < 1 and learned[-1]['curious_rows'] > 0
    saved = checkpoint.find(tmp_path / 'run').arrays()
    assert any(name.startswith('parameters/near/') for name in saved)
    assert train.main(flags + added[2:]) == 2  # without the head
    assert 'heads' in capfd.readouterr().err


@pytest.mark.parametrize(
    ('flag', 'name', 'said'),
    [
        ('heads', 'far', "no package adds 'far' to dreamerv2.heads: near, reward"),
        ('heads', 'reward', 'heads reward: expected a dreamerv2.agent.world_model.Target'),
        ('expl_behavior', 'bold', "'bold'"),
    ],
)
def test_a_head_or_behavior_that_does_not_exist_is_refused(
    package, tmp_path, capfd, flag, name, said
):
    package(HEADS, module=LEARNED)
    assert train.main([*PIXEL, '--logdir', str(tmp_path / 'run'), f'--{flag}', name]) == 2
    error = capfd.readouterr().err.splitlines()[-1]
    assert said in error
    assert not (tmp_path / 'run').exists()
