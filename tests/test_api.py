"""The Python API: what it records, and evaluation."""

import json
import pathlib

import gymnasium
import numpy as np
import pytest

import dreamerv2.api as dv2
from dreamerv2.config import Config
from dreamerv2.envs import make_env
from dreamerv2.errors import UsageError

ROOT = pathlib.Path(__file__).resolve().parents[1]

TINY = {
    'device': 'cpu',
    'precision': 'float32',
    'jit': False,
    'pretrain': 1,
    'train_every': 60,
    'dataset': {'batch': 2, 'length': 8},
    'replay': {'minlen': 8, 'maxlen': 8},
    'rssm': {'deter': 16, 'hidden': 16, 'stoch': 4, 'discrete': 4},
    r'.*\.cnn_depth': 2,
    r'.*\.mlp_layers': [16],
    r'(reward_head|discount_head|actor|critic)\.layers': 1,
    r'(reward_head|discount_head|actor|critic)\.units': 16,
    'imag_horizon': 4,
    'time_limit': 20,
}


class Everything(gymnasium.Env):
    """A stack of twelve gray pictures, a board, a text and numbers; actions of two kinds."""

    observation_space = gymnasium.spaces.Dict(
        {
            'image': gymnasium.spaces.Box(0, 1, (12, 40, 40), np.float32),
            'board': gymnasium.spaces.Box(0, 1, (10, 10, 4), bool),
            'mission/text': gymnasium.spaces.Text(9),
            'last/reward': gymnasium.spaces.Discrete(3, start=-1),
            'reward': gymnasium.spaces.Box(-1, 1, ()),
        }
    )
    action_space = gymnasium.spaces.Dict(
        {'go': gymnasium.spaces.Box(-np.inf, np.inf, (2,)), 'jump': gymnasium.spaces.Discrete(2)}
    )

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.observation_space.seed(seed)
        self.steps = 0
        return self.observation_space.sample(), {}

    def step(self, action):
        assert self.action_space.contains(action)
        self.steps += 1
        return self.observation_space.sample(), 1.0, False, self.steps == 10, {}


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """The logdir of a run on it, and what was printed."""
    logdir = tmp_path_factory.mktemp('runs') / 'everything'
    config = dv2.defaults.update(
        {**TINY, 'logdir': str(logdir), 'steps': 120, 'prefill': 60, 'log_every': 30}
    )
    assert dv2.train(Everything(), config) == 0
    return logdir


def test_the_environments_own_name_is_recorded(trained):
    assert Config.load(trained / 'config.yaml').task == 'own_Everything'
    provenance = json.loads((trained / 'provenance.json').read_text())
    assert provenance['environment']['name'] == 'own_Everything'
    assert provenance['environment']['overview'] == [
        'The agent sees board: vector [400], 0 to 1, of Box(0, 1, (10, 10, 4), bool), no picture: '
        'a side is shorter than 16.',
        'The agent sees image: picture 64x64x12, 0 to 255, of Box(0, 1, (12, 40, 40), float32).',
        'The agent sees last_reward: vector [3], one-hot, of Discrete(3, start=-1).',
        'The agent sees obs_reward: vector [1], -1 to 1, of Box(-1, 1, (), float32).',
        'Left out: mission_text, a Text space cannot be seen.',
        "It acts by 4 numbers from -1 to 1 (Dict('go': Box(-inf, inf, (2,), float32), 'jump': "
        'Discrete(2))).',
    ]
    rows = [json.loads(line) for line in (trained / 'metrics.jsonl').read_text().splitlines()]
    assert sum('train_return/Everything' in row for row in rows) == 12


def test_a_video_of_twelve_channels_is_written(trained):
    (events,) = trained.glob('events.out.tfevents.*')
    assert b'openloop_image' in events.read_bytes()


def test_such_a_run_is_evaluated_in_python(trained, capsys):
    results = dv2.evaluate(Everything(), trained, episodes=3)
    assert results['Everything']['returns'] == [10.0, 10.0, 10.0]
    assert results == dv2.evaluate(Everything(), trained, episodes=3, step=120)
    assert 'Everything  3' in capsys.readouterr().out
    with pytest.raises(UsageError, match='does not fit CartPole-v1'):
        dv2.evaluate(gymnasium.make('CartPole-v1'), trained)
    with pytest.raises(UsageError, match='0 episodes'):
        dv2.evaluate(Everything(), trained, episodes=0)
    with pytest.raises(UsageError, match="policy 'best'"):
        dv2.evaluate(Everything(), trained, policy='best')


def test_the_command_names_what_to_pass(trained):
    from dreamerv2 import evaluate

    with pytest.raises(UsageError, match=r'api.evaluate\(env, logdir\).*--tasks gym_Everything'):
        evaluate.run([str(trained)])


def test_another_environment_is_refused(trained):
    config = dv2.defaults.update(
        {**TINY, 'logdir': str(trained), 'steps': 120, 'prefill': 60, 'log_every': 30}
    )
    before = (trained / 'config.yaml').read_bytes()
    with pytest.raises(UsageError, match="'own_Everything', but 'own_CartPole-v1' is asked for"):
        dv2.train(gymnasium.make('CartPole-v1'), config)
    assert (trained / 'config.yaml').read_bytes() == before


def test_names(tmp_path):
    config = dv2.defaults.update({'logdir': str(tmp_path)})
    named = {
        'own_CartPole-v1': gymnasium.make('CartPole-v1'),
        'own_Everything': Everything(),
        'pixel': make_env('pixel'),
        'gym_CartPole-v1': make_env('gym_CartPole-v1'),
    }
    for name, env in named.items():
        own = env if hasattr(env, 'obs_space') else dv2._checked(env, config, 0)
        assert dv2._task(own, config) == name


def test_a_run_of_an_earlier_version_goes_on(tmp_path):
    """It has the configuration's task, which its environment is not."""
    config = dv2.defaults.update({'logdir': str(tmp_path)})
    config.save(tmp_path / 'config.yaml')
    own = dv2._checked(gymnasium.make('CartPole-v1'), config, 0)
    assert dv2._task(own, config) == 'mario_1-1'
    (tmp_path / 'provenance.json').write_text('{"environment": {"name": "gym_CartPole-v1"}}')
    assert dv2._task(own, config) == 'mario_1-1'
    (tmp_path / 'provenance.json').write_text('{"environment": {"name": "mario_1-1"}}')
    assert dv2._task(own, config) == 'own_CartPole-v1'


def test_bad_environments_leave_no_logdir(tmp_path):
    class Liar(Everything):
        def step(self, action):
            return {}, 1.0, False, False, {}

    config = dv2.defaults.update({'logdir': str(tmp_path / 'run')})
    with pytest.raises(UsageError, match="Liar: observation 'board' at step 1 is missing"):
        dv2.train(Liar(), config)

    class NotANumber(Everything):
        def step(self, action):
            return self.observation_space.sample(), float('nan'), False, False, {}

    with pytest.raises(UsageError, match='reward nan on level NotANumber, at step 1'):
        dv2.train(NotANumber(), config)
    with pytest.raises(UsageError, match='a vector of 2 environments'):
        dv2.train(gymnasium.make_vec('CartPole-v1', 2), config)
    with pytest.raises(UsageError, match='did you mean CartPole-v1'):
        dv2.train('CartPoll-v1', config)
    assert not list(tmp_path.iterdir())
