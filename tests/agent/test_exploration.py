import numpy as np
import pytest

from dreamerv2.agent import exploration
from dreamerv2.nets.cpu import CpuKernels
from tests.agent.tiny import ACTIONS, make_agent, make_batch

ENVS = 400


def act(agent, mode):
    """Actions on a first observation."""
    rng = np.random.default_rng(0)
    obs = {'image': rng.integers(0, 256, (ENVS, 64, 64, 1), np.uint8)}
    obs['is_first'] = np.ones(ENVS, bool)
    return agent.policy(obs, mode=mode)[0]


@pytest.mark.parametrize('caller_acts', [False, True])
def test_greedy_explores_as_the_actor_acts(caller_acts):
    kernels = CpuKernels(caller_acts=caller_acts)
    one, other = make_agent(kernels=kernels), make_agent(kernels=kernels)
    np.testing.assert_array_equal(act(one, 'explore'), act(other, 'train'))


@pytest.mark.parametrize('caller_acts', [False, True])
def test_random_takes_every_action_equally_often_and_the_actor_does_not(caller_acts):
    agent = make_agent(expl_behavior='random', kernels=CpuKernels(caller_acts=caller_acts))
    agent.parameters()['actor/out/bias'].assign([9.0, *[0.0] * (ACTIONS - 1)])
    agent.sync_policy()
    explored, acted = (act(agent, mode).sum(0) for mode in ('explore', 'train'))
    assert explored.sum() == acted.sum() == ENVS
    assert np.all(np.abs(explored - ENVS / ACTIONS) < 40)
    assert acted[0] > 0.95 * ENVS


def test_random_actions_of_a_box_fill_it():
    agent = make_agent(discrete=False, expl_behavior='random')
    actions = act(agent, 'explore')
    assert np.abs(actions).max() <= 1
    assert abs(actions.mean()) < 0.05
    assert actions.var() == pytest.approx(1 / 3, rel=0.1)


def test_random_collects_and_the_actor_learns_as_with_greedy():
    agents = make_agent(jit=False), make_agent(expl_behavior='random', jit=False)
    for agent in agents:
        agent.train(make_batch())
    one, other = (agent.get_state() for agent in agents)
    assert one.keys() == other.keys()
    for name, value in one.items():
        np.testing.assert_array_equal(value, other[name], name)


def test_a_behavior_that_there_is_not_is_named():
    with pytest.raises(ValueError, match='expl_behavior is curious, but the behaviors are greedy'):
        exploration.behavior_called('curious')
