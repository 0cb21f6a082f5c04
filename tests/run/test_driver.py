"""The driver: rows, episodes, no gluing, random state."""

import json

import numpy as np
import pytest
from run_fakes import CountingEnv, Forgetful, in_process, random_policy

from dreamerv2.envs.contract import spaces
from dreamerv2.replay import Replay
from dreamerv2.run import random_streams
from dreamerv2.run.driver import Driver, RandomPolicy, environment_action
from dreamerv2.run.metrics.episode_summary import episode_metrics


def collect(envs, steps, **options):
    rows = []
    driver = Driver(
        in_process(envs), on_step=[lambda row, worker: rows.append((worker, row))], **options
    )
    policy = random_policy(envs[0])
    results = [driver.step(policy) for _ in range(steps)]
    return driver, rows, results


def test_rows_hold_the_action_that_led_to_them():
    env = CountingEnv(length=4)
    _, rows, results = collect([env], 9)
    assert [row['is_first'] for _, row in rows] == [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0]
    assert sum(result.transitions for result in results) == 9
    firsts = [row for _, row in rows if row['is_first']]
    others = [row for _, row in rows if not row['is_first']]
    assert all((row['action'] == 0).all() for row in firsts)
    assert [int(row['action'].argmax()) for row in others] == env.actions
    assert all(row['action'].dtype == np.float32 and row['action'].sum() == 1 for row in others)
    assert all(row['action'].shape == (3,) for _, row in rows)


def test_environments_are_reset_only_when_needed():
    env = CountingEnv(length=4)
    driver = Driver(in_process([env]))
    assert env.resets == 0
    for _ in range(4):
        driver.step(random_policy(env))
    assert env.resets == 1


def test_episode_summary():
    env = CountingEnv(length=4, levels=('a', 'b'))
    _, rows, results = collect([env], 4, video_keys=('image', 'missing'))
    (episode,) = results[-1].episodes
    assert episode.level == env.levels[env.level]
    assert episode.length == 4
    assert episode.score == pytest.approx(sum(float(row['reward']) for _, row in rows))
    assert (episode.progress, episode.completed, episode.furthest_x) == (1.0, 1.0, 8.0)
    assert episode.videos['image'].shape == (5, 8, 8, 1)
    assert list(episode.videos) == ['image']
    values = episode_metrics(episode, {'sum': 'reward', 'max': 'log_x', 'mean': 'log_.*'})
    assert values['train_return'] == values[f'train_return/{episode.level}'] == episode.score
    assert values['train_length'] == 4
    assert values[f'train_progress/{episode.level}'] == 1
    assert values[f'train_completed/{episode.level}'] == 1
    assert values['sum_train_reward'] == pytest.approx(episode.score)
    assert values['max_train_log_x'] == 8
    assert values['mean_train_log_x'] == pytest.approx(4)


def test_several_environments_step_together():
    envs = [CountingEnv(length=3, seed=0), CountingEnv(length=5, seed=1)]
    _, rows, results = collect(envs, 15)
    assert all(result.transitions == 2 for result in results)
    assert [env.resets for env in envs] == [5, 3]
    for worker, env in enumerate(envs):
        own = [row for index, row in rows if index == worker]
        assert len(own) == 15 + env.resets
        assert [int(row['image'][0, 0, 0]) for row in own[: env.length + 1]] == list(
            range(env.length + 1)
        )
    ended = [episode.worker for result in results for episode in result.episodes]
    assert ended.count(0) == 5 and ended.count(1) == 3


def test_reset_in_mid_episode_never_glues(tmp_path):
    env = CountingEnv(length=6)
    replay = Replay(tmp_path, seed=0)
    driver = Driver(in_process([env]), on_step=[replay.add_step], on_reset=[replay.drop_partial])
    policy = random_policy(env)
    for _ in range(9):  # One whole episode and half of the next.
        driver.step(policy)
    driver.reset()
    for _ in range(6):
        driver.step(policy)
    assert replay.stats['loaded_episodes'] == 2
    replay.flush()
    for path in sorted(tmp_path.glob('*.npz')):
        with np.load(path) as episode:
            images = episode['image']
            assert len(images) == 7
            assert len(np.unique(images[:, 1])) == 1, 'frames of two episodes in one'
            assert (images[:, 0, 0, 0] == np.arange(7)).all()


def test_policy_sees_neither_level_nor_logs_and_keeps_its_state():
    env = CountingEnv(length=4)
    seen = []

    def policy(obs, state):
        seen.append((sorted(obs), obs['image'].shape, state))
        return np.eye(3, dtype=np.float32)[[1]], (state or 0) + 1

    driver = Driver(in_process([env]))
    for _ in range(3):
        driver.step(policy)
    keys, shape, _ = seen[0]
    assert keys == ['image', 'is_first', 'is_last', 'is_terminal', 'reward']
    assert shape == (1, 8, 8, 1)
    assert [state for *_, state in seen] == [None, 1, 2]
    driver.reset()
    driver.step(policy)
    assert seen[-1][2] is None


def test_state_gives_the_same_episodes_again():
    def play(driver, env):
        policy = random_policy(env, 1)
        return [episode.score for _ in range(12) for episode in driver.step(policy).episodes]

    env = CountingEnv(length=4, seed=3)
    driver = Driver(in_process([env]))
    play(driver, env)
    state = driver.get_state()
    expected = play(driver, env)
    other = CountingEnv(length=4, seed=99)
    restored = Driver(in_process([other]))
    assert restored.set_state(state, {}) == {}
    assert play(restored, other) == expected


def interrupted(envs, steps, tmp_path):
    """What there is to go on from after some steps: the driver's state, rows, the replay's."""
    replay = Replay(tmp_path, seed=0)
    driver = Driver(in_process(envs), on_step=[replay.add_step], on_reset=[replay.drop_partial])
    policy = random_policy(envs[0])
    for _ in range(steps):
        driver.step(policy)
    return driver, policy, json.loads(json.dumps(driver.get_state())), replay.unfinished(), replay


def test_going_on_in_mid_episode_gives_the_same_rows(tmp_path):
    envs = [CountingEnv(length=5, seed=0), CountingEnv(length=7, seed=1)]
    driver, policy, state, unfinished, replay = interrupted(envs, 13, tmp_path)
    assert [len(unfinished[i]['image']) for i in (0, 1)] == [4, 7]
    after = policy.get_state()
    expected = [driver.step(policy).episodes for _ in range(9)]
    expected_rows = replay.unfinished()

    rows = []
    others = [CountingEnv(length=5, seed=8), CountingEnv(length=7, seed=9)]
    again = Replay(None, seed=0)
    restored = Driver(
        in_process(others),
        on_step=[again.add_step, lambda row, worker: rows.append(worker)],
        on_reset=[again.drop_partial],
    )
    assert restored.set_state(state, unfinished) == {}
    assert [rows.count(i) for i in (0, 1)] == [4, 7] and again.stats['partial_steps'] == 9
    policy.set_state(after)
    found = [restored.step(policy).episodes for _ in range(9)]
    for one, other in zip(sum(found, ()), sum(expected, ()), strict=True):
        assert (one.score, one.length, one.worker) == (other.score, other.length, other.worker)
        assert one.entries.keys() == other.entries.keys()
    for index, arrays in again.unfinished().items():
        assert arrays.keys() == expected_rows[index].keys()
        for key, value in arrays.items():
            assert value.dtype == expected_rows[index][key].dtype
            np.testing.assert_array_equal(value, expected_rows[index][key])


def test_an_episode_that_cannot_go_on_is_cut_off(tmp_path):
    env = Forgetful(length=7)
    env.forgotten = 0
    _, _, state, unfinished, _ = interrupted([env], 10, tmp_path)
    other = Forgetful(length=7)
    other.forgotten = 1
    replay = Replay(None, seed=0)
    restored = Driver(in_process([other]), on_step=[replay.add_step])
    assert restored.set_state(state, unfinished) == {0: 3}
    (episode,) = replay.episodes()
    assert episode.steps == 3 and not episode.terminated
    assert episode.array('is_last').tolist() == [False, False, False, True]
    assert not episode.array('is_terminal').any()
    other.forgotten = 0
    restored.step(random_policy(other))  # Starts a new one.
    assert replay.stats['partial_steps'] == 1


def test_an_episode_of_an_environment_that_is_gone_is_cut_off(tmp_path):
    envs = [CountingEnv(length=7, seed=0), CountingEnv(length=7, seed=1)]
    _, _, state, unfinished, _ = interrupted(envs, 7 + 2, tmp_path)
    replay = Replay(None, seed=0)
    restored = Driver(in_process([CountingEnv(length=7)]), on_step=[replay.add_step])
    assert restored.set_state(state, unfinished) == {1: 2}
    assert replay.stats['partial_steps'] == 2 and len(replay.episodes()) == 1


def test_actions_of_spaces():
    assert environment_action(spaces.Discrete(3), np.array([0, 0, 1.0])) == 2
    assert isinstance(environment_action(spaces.Discrete(3), np.array([0, 0, 1.0])), int)
    box = environment_action(spaces.Box(-1, 1, (2,), np.float32), np.array([0.5, -1]))
    assert box.dtype == np.float32 and box.tolist() == [0.5, -1]


def test_random_policy_covers_the_space_and_has_a_state():
    obs = {'is_first': np.zeros(1000, bool)}
    policy = RandomPolicy(spaces.Discrete(4), random_streams.generator(0, 'random_policy'))
    actions, _ = policy(obs)
    assert (actions.sum(1) == 1).all()
    assert (np.abs(actions.mean(0) - 0.25) < 0.05).all()
    together = random_streams.generator(0, 'random_policy').integers(4, size=1000)
    assert (actions.argmax(1) == together).all()
    state = policy.get_state()
    again, _ = policy(obs)
    policy.set_state(state)
    assert (policy(obs)[0] == again).all()
    box = RandomPolicy(spaces.Box(-1, 1, (2,)), random_streams.generator(0, 'random_policy'))
    actions, _ = box(obs)
    assert actions.shape == (1000, 2) and actions.dtype == np.float32
    assert actions.min() < -0.95 and actions.max() > 0.95 and np.abs(actions).max() <= 1
