"""What an agent predicts at recorded rows: from which observations and actions it follows."""

import numpy as np
import pytest

from tests.agent.tiny import ACTIONS, BATCH, LENGTH, make_agent, make_batch

HORIZON = 15


@pytest.fixture(scope='module')
def agent():
    return make_agent(reward_norm={'momentum': 0.5})


def changed(batch, key, row, value):
    copy = {name: np.array(array) for name, array in batch.items()}
    copy[key][:, row] = value
    return copy


def rows_that_differ(one, other):
    """Of the second axis."""
    return sorted({int(row) for row in np.nonzero(one != other)[1]})


def test_looking_changes_nothing_and_repeats_itself(agent):
    batch = make_batch()
    before = agent.get_state()
    found = agent.foresee(batch)
    again = agent.foresee(batch)
    after = agent.get_state()
    for name, value in found.items():
        np.testing.assert_array_equal(value, again[name])
        lead = (HORIZON, BATCH, LENGTH) if name == 'ends_ahead' else (BATCH, LENGTH)
        assert value.shape[: len(lead)] == lead and np.isfinite(value).all()
    for name, value in before.items():
        np.testing.assert_array_equal(value, after[name])
    np.testing.assert_allclose(found['learned'], np.tanh(batch['reward']), rtol=1e-6)
    assert (agent.foresee(batch, seed=1)['ends'] != found['ends']).any()


def test_predictions_follow_from_what_was_seen_and_done(agent):
    batch = make_batch()
    found = agent.foresee(batch)
    other = agent.foresee(changed(batch, 'action', 6, np.eye(ACTIONS)[0]))
    # The action that led to row 6 is known from row 6 on, and imagined from up to 5 steps before.
    for name in ('reward', 'value', 'ends', 'image/0', 'imagined'):
        assert rows_that_differ(found[name], other[name]) == [6, 7]
    assert rows_that_differ(found['image/5'], other['image/5']) == [1, 2, 3, 4, 5, 6, 7]
    for steps in (1, 4):  # Axes: batch, row.
        rows = rows_that_differ(found['ends_ahead'][steps - 1], other['ends_ahead'][steps - 1])
        assert rows == list(range(6 - steps, LENGTH))
    seen = agent.foresee(changed(batch, 'image', 6, 0))
    for name in ('reward', 'image/0', 'image/5'):
        assert rows_that_differ(found[name], seen[name]) == [6, 7]


def test_endings_accumulate(agent):
    ahead = agent.foresee(make_batch())['ends_ahead']
    assert (np.diff(ahead, axis=0) >= -1e-2).all()
    assert 0.3 < ahead[0].mean() < 0.7 and ahead[-1].mean() > 0.99  # An untrained head says 1/2.


def test_without_discounts_no_endings_are_predicted():
    agent = make_agent(pred_discount=False, grad_heads=['decoder', 'reward'], jit=False)
    assert not [name for name in agent.foresee(make_batch()) if name.startswith('ends')]


def test_training_the_model_alone_leaves_actor_and_critic():
    agent, whole = make_agent(jit=False), make_agent(jit=False)
    agent.train_model(make_batch())
    whole.train(make_batch())
    before, after, both = make_agent().get_state(), agent.get_state(), whole.get_state()
    for name, value in after.items():
        own = name.startswith(('parameters/actor', 'parameters/critic', 'parameters/slow_critic'))
        if own:
            np.testing.assert_array_equal(value, before[name])
        elif name.startswith('parameters/'):
            np.testing.assert_array_equal(value, both[name])
