"""Action repeat, sticky actions, time limit, seeds."""

import json

import numpy as np
import pytest
from env_examples import Recorder


def play(env, actions):
    """Executed action of each step."""
    env.reset()
    for action in actions:
        env.step(int(action))
    return np.array(env.executed[:: env.action_repeat])


def test_action_repeat_sums_rewards_and_stops_at_the_end():
    env = Recorder(frames=10, action_repeat=4)
    env.reset()
    assert [env.step(2)['reward'] for _ in range(3)] == [4, 4, 2]
    assert env.executed == [2] * 10


def test_sticky_repeats_the_executed_action_for_a_whole_step():
    env = Recorder(frames=10**9, actions=100, sticky=0.2, action_repeat=4, seed=5)
    chosen = np.random.default_rng(0).integers(100, size=5000)
    executed = play(env, chosen)
    frames = np.array(env.executed).reshape(-1, 4)
    assert (frames == frames[:, :1]).all()
    stuck = executed != chosen
    assert not stuck[0]
    # Always the action executed last, also when that was itself repeated.
    np.testing.assert_array_equal(executed[1:][stuck[1:]], executed[:-1][stuck[1:]])
    assert (stuck[1:] & stuck[:-1]).any()
    assert abs(stuck.mean() - 0.2 * 0.99) < 0.03


def test_sticky_never_reaches_over_a_reset():
    env = Recorder(sticky=1.0)
    for first in (3, 1, 2):
        np.testing.assert_array_equal(play(env, [first, 0, 0]), [first] * 3)


@pytest.mark.parametrize('sticky', [0.0, 0.2, 1.0])
def test_one_number_is_drawn_in_every_step(sticky):
    env = Recorder(sticky=sticky, seed=11)
    play(env, [0] * 7)
    play(env, [0] * 5)
    expected = np.random.default_rng(11)
    expected.random(12)
    assert env.get_state()['rng'] == expected.bit_generator.state


def test_without_sticky_the_chosen_actions_are_executed():
    chosen = np.random.default_rng(0).integers(4, size=200)
    np.testing.assert_array_equal(play(Recorder(), chosen), chosen)


def test_time_limit_truncates_and_an_ending_at_the_limit_is_terminal():
    env = Recorder(time_limit=3)
    env.reset()
    observations = [env.step(0) for _ in range(3)]
    assert [bool(o['is_last']) for o in observations] == [False, False, True]
    assert not observations[-1]['is_terminal']
    with pytest.raises(RuntimeError, match='reset'):
        env.step(0)
    env = Recorder(frames=3, time_limit=3)
    env.reset()
    last = [env.step(0) for _ in range(3)][-1]
    assert last['is_last'] and last['is_terminal']


def test_seed_and_state_decide_the_draws():
    chosen = np.random.default_rng(0).integers(4, size=300)
    first = play(Recorder(sticky=0.5, seed=1), chosen)
    np.testing.assert_array_equal(first, play(Recorder(sticky=0.5, seed=1), chosen))
    assert (first != play(Recorder(sticky=0.5, seed=2), chosen)).any()
    env = Recorder(sticky=0.5, seed=3)
    play(env, chosen)
    state = json.loads(json.dumps(env.get_state()))
    other = Recorder(sticky=0.5, seed=4)
    other.set_state(state)
    np.testing.assert_array_equal(play(env, chosen), play(other, chosen))
