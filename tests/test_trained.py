"""A trained agent in Python: it acts as the command does, and shows what its model imagines."""

import json

import gymnasium
import numpy as np
import pytest

import dreamerv2.api as dv2
from dreamerv2 import evaluate
from dreamerv2.errors import UsageError
from dreamerv2.run import checkpoint
from tests.agent.test_options import EVERY_OPTION
from tests.test_api import TINY


class Recorder(dv2.Callback):
    """Counts what happens; adds a metric; may stop the run after some updates."""

    def __init__(self, stop_after=None):
        self.stop_after = stop_after
        self.steps, self.episodes, self.updates, self.logs, self.agents = 0, [], 0, [], set()

    def on_step(self, row, worker):
        assert worker == 0 and {'image', 'action', 'reward'} <= set(row)
        self.steps += not row['is_first']
        self.agents.add(self.run.agent is not None)

    def on_episode(self, episode):
        self.episodes.append(episode)
        self.run.add({'longest': episode.length})

    def on_update(self, metrics):
        assert 'image_loss' in metrics
        self.updates += 1
        assert self.run.updates == self.updates
        if self.updates == self.stop_after:
            self.run.stop('enough')

    def on_log(self, metrics):
        metrics['twice'] = 2.0 * metrics.get('image_loss', 0.0)
        self.logs.append(self.run.frames)


def settings(logdir, **changes):
    changes = {'logdir': str(logdir), 'task': 'pixel', 'steps': 120, 'prefill': 60, **changes}
    return dv2.presets['defaults'].update({**TINY, 'log_every': 30, 'eval_every': 0, **changes})


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    logdir = tmp_path_factory.mktemp('runs') / 'pixel'
    recorder = Recorder()
    assert dv2.train(None, settings(logdir, train_every=20), [recorder]) == 0
    return logdir, recorder


@pytest.fixture(scope='module')
def agent(run):
    return dv2.load(run[0])


@pytest.fixture(scope='module')
def episode(run):
    path = min((run[0] / 'train_episodes').glob('*.npz'))
    with np.load(path) as file:
        return dict(file)


def test_callbacks_see_the_run_and_add_to_its_metrics(run):
    logdir, recorder = run
    assert recorder.steps == 120
    finished = sum(episode.length for episode in recorder.episodes)
    assert 120 - 2 * 20 < finished <= 120  # One is dropped after the prefill, one is unfinished.
    assert recorder.agents == {False, True}
    lines = [json.loads(line) for line in (logdir / 'metrics.jsonl').read_text().splitlines()]
    logged = [line for line in lines if 'twice' in line]
    assert [line['step'] for line in logged] == recorder.logs
    assert len(logged) >= 2
    assert all(line['twice'] == 2 * line['image_loss'] for line in logged)
    assert any('longest' in line for line in logged)


@pytest.mark.slow
def test_a_callback_stops_a_run_that_then_goes_on(tmp_path, capsys):
    """To the same weights, bit for bit, with every option of newer Dreamers.

    Without them: `tests/faults/test_resume.py`.
    """
    config = settings(tmp_path / 'run', train_every=10, **EVERY_OPTION)
    assert dv2.train(None, config, [Recorder(stop_after=2)]) == 75
    assert 'Stopped by enough at ' in capsys.readouterr().err
    whole = Recorder()
    assert dv2.train(None, config) == 0
    assert dv2.train(None, config.update({'logdir': str(tmp_path / 'whole')}), [whole]) == 0
    saved = [checkpoint.find(tmp_path / name) for name in ('run', 'whole')]
    assert whole.updates > 2 and [one.frames for one in saved] == [120, 120]
    states = [one.arrays() for one in saved]
    assert any(name.startswith('model_opt/') for name in states[0])
    for name, value in states[0].items():
        np.testing.assert_array_equal(value, states[1][name])


def test_it_acts_as_the_command_does(run, agent, tmp_path):
    file = tmp_path / 'results.json'
    evaluate.run([str(run[0]), '--episodes', '3', '--json', str(file)])
    wanted = json.loads(file.read_text())['levels']['pixel']['returns']
    again, env, found = dv2.load(run[0]), agent.make_env(), []
    for _ in wanted:
        obs, state, total = env.reset(), None, 0.0
        while not obs['is_last']:
            action, state = again.act(obs, state)
            obs = env.step(action)
            total += float(obs['reward'])
        found.append(total)
    env.close()
    assert found == wanted
    assert (agent.frames, agent.discrete, agent.config.task) == (120, True, 'pixel')


def test_an_image_alone_is_enough(run):
    one, other = dv2.load(run[0]), dv2.load(run[0])
    image = np.zeros((64, 64, 1), np.uint8)
    action, state = one.act(image)
    obs = {'image': image, 'is_first': True, 'log_x': 3.0, 'level': 0}
    same, like = other.act(obs)
    assert action == same and isinstance(action, int)
    np.testing.assert_array_equal(state.latent['deter'], like.latent['deter'])
    assert state.action.shape == (agent_actions(one),) and state.action[action] == 1
    with pytest.raises(UsageError, match="policy 'best'"):
        one.act(image, policy='best')


def agent_actions(agent):
    return agent.make_env().act_space.n


def test_it_shows_what_it_sees(agent, episode):
    states = agent.observe(episode)
    rows = len(episode['reward'])
    np.testing.assert_array_equal(states.action[:-1], episode['action'][1:])
    assert states.action.shape == episode['action'].shape and not states.action[-1].any()
    drawn = agent.decode(states)
    batch = {key: value[None] for key, value in episode.items()}
    wanted = agent._agent.reconstruct(batch)['image'][0]
    assert drawn['image'].shape == (rows, 64, 64, 1) and drawn['image'].dtype == np.uint8
    assert np.abs(drawn['image'].astype(int) - wanted).max() <= 1  # Other rounding, not compiled.
    expected = agent.predict(states)
    assert {key: value.shape for key, value in expected.items()} == {
        'reward': (rows,),
        'value': (rows,),
        'end': (rows,),
        'policy': (rows, episode['action'].shape[1]),
    }
    np.testing.assert_allclose(expected['policy'].sum(-1), 1, rtol=1e-5)
    assert ((expected['end'] >= 0) & (expected['end'] <= 1)).all()
    one = agent.predict(states[3])
    for key, value in one.items():
        np.testing.assert_allclose(value, expected[key][3], rtol=1e-5, atol=1e-6)


def test_it_imagines_with_its_policy_or_with_given_actions(agent, episode):
    start = agent.observe(episode)[2:5]
    dream = agent.imagine(start, 6)
    assert dream.action.shape == (7, 3, episode['action'].shape[1])
    assert agent.decode(dream)['image'].shape == (7, 3, 64, 64, 1)
    np.testing.assert_array_equal(dream.latent['stoch'][0], start.latent['stoch'])
    np.testing.assert_array_equal(dream.action[:-1].sum(-1), np.ones((6, 3)))
    assert not dream.action[-1].any()
    again = agent.imagine(start, 6)
    assert (again.latent['stoch'] != dream.latent['stoch']).any()
    sure, same = (agent.imagine(start, 6, sample=False) for _ in range(2))
    np.testing.assert_array_equal(sure.latent['deter'], same.latent['deter'])
    best = agent.predict(sure)['policy'].argmax(-1)
    np.testing.assert_array_equal(sure.action[:-1].argmax(-1), best[:-1])
    # The policy's own actions, given, lead to the same states.
    alone = agent.imagine(start[0], 6, sample=False)
    given = agent.imagine(start[0], 6, actions=alone.action[:-1].argmax(-1), sample=False)
    np.testing.assert_allclose(given.latent['deter'], alone.latent['deter'], rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(given.action, alone.action)
    others = np.array(alone.action[:-1].argmax(-1))
    others[2] = (others[2] + 1) % episode['action'].shape[1]
    changed = agent.imagine(start[0], 6, actions=others, sample=False).latent['deter']
    np.testing.assert_array_equal(changed[:3], given.latent['deter'][:3])
    assert (changed[3:] != given.latent['deter'][3:]).any(-1).all()


@pytest.mark.parametrize(
    ('actions', 'message'),
    [
        ([0, 1, 99], r'actions \[0, 1, 99\]: expected numbers from 0 to'),
        ([0, -1, 0], r'expected numbers from 0 to'),
        ([0, 1], r'actions of shape \[2\]: expected \[3\] whole numbers'),
        (np.zeros((3, 99)), r'actions of shape \[3, 99\]'),
        ([0.5, 0.5, 0.5], r'actions of shape \[3\]'),
    ],
)
def test_impossible_actions_are_refused(agent, episode, actions, message):
    with pytest.raises(UsageError, match=message):
        agent.imagine(agent.observe(episode)[0], 3, actions=actions)


def test_an_agent_of_ones_own_environment_needs_one(tmp_path):
    logdir = tmp_path / 'pendulum'
    config = settings(logdir, log_every=0, decoder={'mlp_keys': '.*'}, encoder={'mlp_keys': '.*'})
    assert dv2.train(gymnasium.make('Pendulum-v1'), config) == 0
    agent = dv2.load(logdir, env=gymnasium.make('Pendulum-v1'))
    env = dv2.make_env(gymnasium.make('Pendulum-v1'), agent.config)
    action, state = agent.act(env.reset())
    assert action.shape == (1,) and env.step(action)['reward'] < 0
    assert agent.imagine(state, 4).action.shape == (5, 1)
    assert {key: value.shape for key, value in agent.decode(state).items()} == {
        key: space.shape for key, space in env.obs_space.items() if key in agent.decode(state)
    }
    with pytest.raises(UsageError, match='does not fit'):
        dv2.load(logdir, env=dv2.make_env('pixel'))


def test_what_cannot_be_loaded_is_said(tmp_path):
    with pytest.raises(UsageError, match='does not exist: expected the logdir'):
        dv2.load(tmp_path / 'none')


def test_presets_are_configurations():
    assert set(dv2.presets) >= {'defaults', 'mario', 'mario_small', 'atari', 'debug'}
    assert dv2.presets['mario_small'].rssm.deter == 256
    assert dv2.presets['defaults'].flat == dv2.defaults.flat
    assert 'mario_small' in dv2.presets and len(dv2.presets) == len(list(dv2.presets))
    with pytest.raises(KeyError, match='expected one of defaults, '):
        dv2.presets['huge']


def test_environments_by_task_or_of_ones_own():
    config = dv2.presets['mario_small'].update({'time_limit': 5})
    for made in (dv2.make_env('mario_1-2', config), dv2.make_env(gymnasium.make('CartPole-v1'))):
        obs = made.reset()
        assert obs['is_first'] and set(obs) == set(made.obs_space)
        made.close()
