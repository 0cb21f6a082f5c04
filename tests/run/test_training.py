"""A whole run with a NumPy agent: logdir, resuming, stopping, damage."""

import json
import os
import socket
import time

import numpy as np
import pytest
from run_fakes import (
    CountingEnv,
    NumpyAgent,
    fake_parts,
    in_process,
    lines,
    run,
    small_config,
    with_key,
    without_time,
)

import dreamerv2.api
from dreamerv2.cli import FINISHED
from dreamerv2.errors import UsageError
from dreamerv2.run import checkpoint
from dreamerv2.run.build import Parts
from dreamerv2.run.training import train


def test_logdir_holds_everything(tmp_path):
    code, agent = run(tmp_path)
    assert code == FINISHED
    assert json.loads((tmp_path / 'done.json').read_text())['step'] == 800
    checkpoints = [path.name for path in checkpoint.available(tmp_path / 'checkpoints')]
    # The newest two, and the one that was evaluated.
    assert checkpoints == ['0000000560', '0000000760', '0000000800']
    best = checkpoint.find(tmp_path, 'best')
    assert best.frames == 560
    found = with_key(lines(tmp_path), 'eval_return')[-1]
    assert best.score == (found['eval_completed/a'], found['eval_progress/a'], found['eval_return'])
    assert not (tmp_path / 'lock').exists()
    provenance = json.loads((tmp_path / 'provenance.json').read_text())
    assert provenance['seed'] == 0
    assert provenance['environment']['name'] == 'counting'
    assert provenance['packages']['numpy'] == np.__version__
    assert provenance['host']['kind'] == 'cpu' and provenance['command']
    assert provenance['host']['hostname'] == socket.gethostname()
    assert len(list((tmp_path / 'train_episodes').glob('*.npz'))) == 20
    assert list(tmp_path.glob('events.out.tfevents.*'))
    loaded = checkpoint.find(tmp_path)
    assert loaded.state['progress']['step'] == 200
    assert (loaded.config_path.read_text()) == (tmp_path / 'config.yaml').read_text()
    assert (loaded.arrays()['parameters/weight'] == agent.weight).all()


def test_metrics(tmp_path, capfd):
    _, agent = run(tmp_path, levels=('a', 'b'))
    assert 'Not finite at 164 frames: image_loss' in ''.join(capfd.readouterr())
    rows = lines(tmp_path)
    assert all(row['step'] % 4 == 0 for row in rows)
    assert [row['step'] for row in rows] == sorted(row['step'] for row in rows)
    episodes = with_key(rows, 'train_return')
    assert [row['step'] for row in episodes] == list(range(40, 801, 40))
    assert [row.get('train_prefill', 0) for row in episodes] == [1] * 4 + [0] * 16
    for row in episodes:
        (level,) = {key.split('/')[1] for key in row if '/' in key}
        assert row[f'train_return/{level}'] == row['train_return']
        assert row[f'train_progress/{level}'] == row[f'train_completed/{level}'] == 1
        assert row['train_length'] == 10
    assert {key for row in episodes for key in row if key.startswith('train_return/')} == {
        'train_return/a',
        'train_return/b',
    }
    evaluations = with_key(rows, 'eval_return')
    assert [row['step'] for row in evaluations] == [160, 560]
    assert all({'eval_return/a', 'eval_return/b'} <= set(row) for row in evaluations)
    assert all(row['eval_episodes'] == 2 for row in evaluations)
    logs = with_key(rows, 'fps')
    assert [row['step'] for row in logs] == [164 + 80 * i for i in range(8)]
    assert all(row['fps'] > 0 and row['replay_loaded_steps'] > 0 for row in logs)
    assert {'absorbing_fraction', 'filler_fraction', 'reward_loss', 'updates'} <= set(logs[0])
    assert logs[0]['image_loss'] is None  # The second update gave NaN.
    assert logs[-1]['updates'] == agent.updates - 3
    # One update for pretrain, then one every 5 steps from the first on.
    assert agent.updates == 1 + 32
    assert agent.steps == [40, *range(41, 200, 5)]
    assert agent.warmed[0]['image'] == (4, 10, 8, 8, 1) and agent.warmed[1] == 1
    assert set(agent.modes) == {'train', 'eval'}


def test_a_run_that_learns_nothing_any_more_ends(tmp_path):
    made = fake_parts([])

    def make(obs_space, act_space, say):
        agent, device = made.agent(obs_space, act_space, say)
        agent.skipping_from = 11
        return agent, device

    parts = Parts(made.envs, made.evaluation, make)
    config = small_config(tmp_path, steps=2000, train_every=1, pretrain=0)
    with pytest.raises(UsageError, match='in a row were not finite') as error:
        train(config, parts)
    # The 111th update is the hundredth that was left out; it is noticed at the next save or log.
    saved = checkpoint.find(tmp_path)
    assert str(saved.path) in str(error.value) and saved.frames <= (40 + 111) * 4
    assert not (tmp_path / 'done.json').exists() and not (tmp_path / 'lock').exists()
    logs = with_key(lines(tmp_path), 'skipped_updates')
    assert [row['skipped_updates'] for row in logs][:2] == [0, 11]
    assert logs[-1]['skipped_in_a_row'] == logs[-1]['skipped_updates'] >= 100


def test_the_same_seed_gives_the_same_run(tmp_path):
    _, first = run(tmp_path / 'a', envs=2)
    _, second = run(tmp_path / 'b', envs=2)
    assert (first.weight == second.weight).all()
    assert without_time(lines(tmp_path / 'a')) == without_time(lines(tmp_path / 'b'))


def test_collecting_beside_learning_makes_the_same_updates_and_repeats_itself(tmp_path):
    config = {'async_collect': True}
    _, first = run(tmp_path / 'a', config=config)
    _, second = run(tmp_path / 'b', config=config)
    _, in_turn = run(tmp_path / 'c')
    assert (first.weight == second.weight).all()
    assert without_time(lines(tmp_path / 'a')) == without_time(lines(tmp_path / 'b'))
    assert first.updates == in_turn.updates and first.steps == in_turn.steps
    staleness = [row['policy_staleness'] for row in with_key(lines(tmp_path / 'a'), 'fps')]
    assert 1 < max(staleness) <= 2
    assert 'policy_staleness' not in with_key(lines(tmp_path / 'c'), 'fps')[0]


def test_a_finished_run_says_so(tmp_path, capsys):
    run(tmp_path)
    before = sorted((path, path.stat().st_mtime_ns) for path in tmp_path.rglob('*'))
    agents = []
    assert train(small_config(tmp_path), fake_parts(agents)) == FINISHED
    assert 'finished' in capsys.readouterr().out
    assert agents == []
    before_files = [entry for entry in before if entry[0].is_file()]
    after = sorted((path, path.stat().st_mtime_ns) for path in tmp_path.rglob('*'))
    assert [entry for entry in after if entry[0].is_file()] == before_files


def test_other_settings_are_refused_and_harmless_ones_taken(tmp_path):
    run(tmp_path, steps=100)
    with pytest.raises(UsageError, match='train_every 5, but 7 is asked for'):
        run(tmp_path, config={'train_every': 7})
    with pytest.raises(UsageError, match=r'seed 0, but 3 .* \(1 more differs\)'):
        run(tmp_path, config={'seed': 3, 'discount': 0.5})
    code, _ = run(tmp_path, steps=120, config={'log_every': 10, 'save_every': 30})
    assert code == FINISHED


def test_a_logdir_without_anything_worth_keeping_takes_any_settings(tmp_path):
    def fail():
        raise RuntimeError('no environment')

    with pytest.raises(RuntimeError):
        train(small_config(tmp_path), Parts(envs=fail, evaluation={}, agent=fail))
    small_config(tmp_path, train_every=7).save(tmp_path / 'config.yaml')
    assert run(tmp_path, steps=60)[0] == FINISHED


def test_an_error_while_the_agent_is_made_surfaces_at_once(tmp_path):
    def broken(obs_space, act_space, say):
        raise ValueError('the agent cannot be made')

    envs = in_process([CountingEnv()])
    with pytest.raises(ValueError, match='cannot be made'):
        train(
            small_config(tmp_path, prefill=10**9, steps=10**9),
            Parts(envs=lambda: envs, evaluation={}, agent=broken),
        )
    assert envs._envs[0].closed == 1
    assert not (tmp_path / 'lock').exists()


def test_prefill_runs_while_the_agent_is_made(tmp_path):
    env = CountingEnv()
    acted = []

    def slow(obs_space, act_space, say):
        while not env.actions:
            time.sleep(0.001)
        acted.append(len(env.actions))
        return NumpyAgent(obs_space, act_space), fake_device()

    def fake_device():
        from dreamerv2.run.devices import Device

        return Device('cpu', 'cpu', 'float32')

    train(
        small_config(tmp_path, steps=60),
        Parts(envs=lambda: in_process([env]), evaluation={}, agent=slow),
    )
    assert acted[0] >= 1


def test_a_damaged_checkpoint_costs_only_what_came_after_the_one_before(tmp_path):
    run(tmp_path, steps=200)
    (tmp_path / 'done.json').unlink()
    newest = tmp_path / 'checkpoints' / '0000000800'
    os.truncate(newest / 'agent.safetensors', 10)
    straight = without_time(lines(tmp_path))
    code, _ = run(tmp_path)
    assert code == FINISHED
    assert checkpoint.find(tmp_path).frames == 800
    assert without_time(lines(tmp_path)) == straight
    superseded = (tmp_path / 'metrics.superseded.jsonl').read_text().splitlines()
    assert superseded and all(json.loads(line)['step'] > 760 for line in superseded)


def test_a_crash_before_the_first_checkpoint_keeps_the_episodes(tmp_path):
    class Crash(Exception):
        pass

    class Failing(NumpyAgent):
        def policy(self, obs, state=None, mode='train'):
            raise Crash

    def make(obs_space, act_space, say):
        from dreamerv2.run.devices import Device

        return Failing(obs_space, act_space), Device('cpu', 'cpu', 'float32')

    with pytest.raises(Crash):
        train(
            small_config(tmp_path),
            Parts(envs=lambda: in_process([CountingEnv(10)]), evaluation={}, agent=make),
        )
    assert len(with_key(lines(tmp_path), 'train_prefill')) == 4
    code, _ = run(tmp_path)
    assert code == FINISHED
    rows = with_key(lines(tmp_path), 'train_return')
    assert [row['step'] for row in rows] == list(range(40, 801, 40))
    assert len(with_key(rows, 'train_prefill')) == 4


def test_api_trains_on_an_environment_of_ones_own(tmp_path, monkeypatch):
    import gymnasium

    class Own(gymnasium.Env):
        observation_space = gymnasium.spaces.Box(0, 255, (8, 8, 3), np.uint8)
        action_space = gymnasium.spaces.Discrete(3)

        def reset(self, *, seed=None, options=None):
            self.steps = 0
            return np.zeros((8, 8, 3), np.uint8), {}

        def step(self, action):
            self.steps += 1
            return np.zeros((8, 8, 3), np.uint8), 1.0, self.steps == 10, False, {}

    agents = []
    made = fake_parts(agents)
    monkeypatch.setattr(dreamerv2.api, 'make_agent', lambda config, *spaces: made.agent(*spaces))
    config = dreamerv2.api.defaults.update(
        {
            'logdir': str(tmp_path / 'gym'),
            'steps': 100,
            'prefill': 20,
            'dataset': {'batch': 2, 'length': 5},
            'replay': {'minlen': 5, 'maxlen': 5},
        }
    )
    assert dreamerv2.api.train(Own(), config) == FINISHED
    rows = with_key(lines(tmp_path / 'gym'), 'train_return')
    assert len(rows) == 10 and all(row['train_return'] == 10 for row in rows)
    assert not with_key(lines(tmp_path / 'gym'), 'eval_return')
    own = config.update({'logdir': str(tmp_path / 'own')})
    assert dreamerv2.api.train(CountingEnv(), own) == FINISHED
    assert len(with_key(lines(tmp_path / 'own'), 'train_return')) == 10


@pytest.mark.parametrize(
    ('behavior', 'until', 'explored'),
    [('greedy', 0, 0), ('greedy', 400, 0), ('random', 0, 160), ('random', 400, 60)],
)
def test_exploration_collects_until_its_frame(tmp_path, behavior, until, explored):
    agents = []
    config = small_config(tmp_path, expl_behavior=behavior, expl_until=until, eval_every=0)
    train(config, fake_parts(agents))
    modes = agents[0].modes
    # Of 200 steps of 4 frames, 40 are the prefill.
    assert modes == ['explore'] * explored + ['train'] * (160 - explored)
