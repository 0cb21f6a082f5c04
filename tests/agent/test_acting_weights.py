"""The copy of the weights that acts: which type it has, and when it is renewed."""

import numpy as np
import pytest
import tensorflow as tf

from dreamerv2.nets.cpu import CpuKernels
from tests.agent.test_agent import observation
from tests.agent.tiny import make_agent, make_batch


def act(agent, calls=3, mode='train'):
    """Actions and latent states of so many steps from the start, as one list of arrays."""
    state, found = None, []
    for _ in range(calls):
        action, state = agent.policy(observation(make_batch()), state, mode=mode)
        found += [action, *tf.nest.flatten(state)]
    return [np.array(value) for value in found]


@pytest.mark.parametrize(('precision', 'norm'), [('bfloat16', 'layer'), ('float16', 'none')])
def test_weights_cast_once_act_as_those_cast_in_each_call(precision, norm):
    rssm, actor = {'norm': norm}, {'norm': norm}
    agent = make_agent(precision=precision, rssm=rssm, actor=actor)
    agent.train(make_batch())
    found = act(agent)
    types = {v.dtype for v in agent._acting.modules['rssm'].parameters().values()}
    assert tf.as_dtype(precision) in types
    other = make_agent(precision=precision, rssm=rssm, actor=actor)
    model = other.world_model
    learning = {'encoder': model.encoder, 'rssm': model.rssm, 'actor': other.actor_critic.actor}
    other._acting.modules.update(learning)
    other.set_state(agent.get_state())
    other._seeds.calls['act'] = 0
    for one, two in zip(found, act(other), strict=True):
        np.testing.assert_array_equal(one, two)


# Each pair of values occurs together.
@pytest.mark.parametrize(
    ('precision', 'caller_acts', 'ahead'),
    [
        ('float32', False, False),
        pytest.param('float32', True, True, marks=pytest.mark.slow),
        pytest.param('bfloat16', False, True, marks=pytest.mark.slow),
        ('bfloat16', True, False),
    ],
)
def test_without_a_copy_asked_for_the_newest_weights_act(precision, caller_acts, ahead):
    agent = make_agent(
        precision=precision, ahead=ahead, kernels=CpuKernels(caller_acts=caller_acts)
    )
    before = act(agent, mode='eval')
    if ahead:
        agent.train_ahead(make_batch())
        agent.finish()
    else:
        agent.train(make_batch())
    fresh = make_agent(precision=precision)
    fresh.set_state(agent.get_state())
    after = act(agent, mode='eval')
    expected = act(fresh, mode='eval')
    assert any((one != two).any() for one, two in zip(before, after, strict=True))
    for one, two in zip(after, expected, strict=True):
        np.testing.assert_array_equal(one, two)


def test_parameters_are_those_that_learn():
    agent = make_agent(precision='bfloat16')
    assert {variable.dtype for variable in agent.parameters().values()} == {tf.float32}
    assert set(agent.parameters()) == set(make_agent().parameters())
