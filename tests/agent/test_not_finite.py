"""Updates in which NaN or infinity comes up, and the policy's state as arrays."""

import numpy as np
import pytest

from tests.agent.tiny import make_agent, make_batch


def changed(before, after):
    """Names of the arrays that differ."""
    return {k for k in before if not np.array_equal(before[k], after[k], equal_nan=True)}


@pytest.mark.parametrize(
    ('bad', 'precision'),
    [
        (np.nan, 'float32'),
        (np.inf, 'bfloat16'),
        (np.nan, 'float16'),
        pytest.param(np.inf, 'float32', marks=pytest.mark.slow),
        pytest.param(np.nan, 'bfloat16', marks=pytest.mark.slow),
        pytest.param(np.inf, 'float16', marks=pytest.mark.slow),
    ],
)
def test_an_update_that_is_not_finite_changes_nothing_and_is_counted(bad, precision):
    agent = make_agent(precision=precision, clip_rewards='identity', reward_norm={'momentum': 0.9})
    carried, _ = agent.train(make_batch())
    for _ in range(30):  # float16's first scales are too large.
        carried, metrics = agent.train(make_batch(), carried)
        if not int(metrics['skipped_in_a_row']):
            break
    start = int(metrics['skipped_updates'])
    assert precision == 'float16' or start == 0
    before = agent.get_state()
    batch = make_batch(seed=1)
    batch['reward'][0, 3] = bad
    for count in (1, 2):
        carried, metrics = agent.train(batch, carried)
        assert int(metrics['skipped_updates']) == start + count
        assert int(metrics['skipped_in_a_row']) == count
    of_scaling = {f'{part}_opt/{name}' for part in ('model', 'actor', 'critic')
                  for name in ('scale', 'clean', 'skipped')}  # fmt: skip
    found = changed(before, agent.get_state()) - of_scaling
    # Other rollouts' rewards move their running mean, which stays finite.
    assert {'random/learn', 'skipped/updates', 'skipped/in_a_row'} <= found
    assert found <= {'random/learn', 'skipped/updates', 'skipped/in_a_row', 'reward_norm/magnitude'}

    _, metrics = agent.train(make_batch(seed=2), carried)
    assert int(metrics['skipped_updates']) == start + 2
    assert int(metrics['skipped_in_a_row']) == 0
    after = agent.get_state()
    assert all(np.isfinite(v).all() for v in after.values() if v.dtype.kind == 'f')
    assert any(name.startswith('parameters/rssm/') for name in changed(before, after))


def test_a_broken_critic_leaves_the_actor_and_itself_alone():
    agent = make_agent(jit=False)
    agent.train(make_batch())
    state = agent.get_state()
    name = next(k for k in state if k.startswith('parameters/slow_critic/') and 'kernel' in k)
    agent.set_state({**state, name: np.full_like(state[name], np.nan)})
    before = agent.get_state()
    _, metrics = agent.train(make_batch(seed=1))
    assert int(metrics['skipped_updates']) == 1
    parts = {k.split('/')[1] for k in changed(before, agent.get_state()) if 'parameters' in k}
    assert 'rssm' in parts
    assert not parts & {'actor', 'critic', 'slow_critic'}
    assert int(agent.get_state()['actor_opt/updates']) == int(before['actor_opt/updates'])


@pytest.mark.parametrize('precision', ['float32', 'bfloat16'])
def test_the_policys_state_comes_back_from_arrays(precision):
    agent = make_agent(precision=precision)
    assert agent.policy_arrays(None) == {} and agent.policy_state({}) is None
    batch = make_batch()
    obs = {k: batch[k][:2, 0] for k in ('image', 'is_first')}
    _, state = agent.policy(obs)
    arrays = agent.policy_arrays(state)
    assert {value.shape[0] for value in arrays.values()} == {2}
    assert all(value.dtype == np.float32 for value in arrays.values())
    saved, later = agent.get_state(), {**obs, 'is_first': np.zeros(2, bool)}
    expected = [agent.policy(later, state) for _ in range(2)]
    agent.set_state(saved)
    found = [agent.policy(later, agent.policy_state(arrays)) for _ in range(2)]
    assert agent.traces['act'] == 1
    for (action, one), (other_action, other) in zip(expected, found, strict=True):
        np.testing.assert_array_equal(action, other_action)
        for key, value in agent.policy_arrays(one).items():
            np.testing.assert_array_equal(value, agent.policy_arrays(other)[key])
