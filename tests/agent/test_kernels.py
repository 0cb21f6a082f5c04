"""Plain kernels and those of a processor learn, act and imagine the same."""

import numpy as np
import pytest

from dreamerv2.nets.cpu import CpuKernels, make_kernels
from dreamerv2.nets.layers import PLAIN
from tests.agent.test_agent import observation
from tests.agent.tiny import KERNELS, kernels, make_agent, make_batch


def operations(agent):
    """The types of all operations of the agent's update, bodies of loops among them."""
    (function,) = agent._learn._list_all_concrete_functions()
    graph = function.graph.as_graph_def()
    nodes = [*graph.node, *(node for f in graph.library.function for node in f.node_def)]
    return [node.op for node in nodes]


EAGER = {'jit': False}  # Compiling takes ten times as long as two updates.


@pytest.mark.parametrize(
    'options',
    [
        {},
        {
            'encoder': {'norm': 'layer'},
            'decoder': {'norm': 'layer'},
            'rssm': {'ensemble': 2},
            **EAGER,
        },
        {
            'discrete': False,
            'image': False,
            'actor_grad': 'dynamics',
            'rssm': {'discrete': 0},
            **EAGER,
        },
    ],
    ids=['images', 'normed', 'continuous'],
)
def test_updates_come_to_the_same_metrics(options):
    kind = {key: options[key] for key in ('discrete', 'image') if key in options}
    told = []
    for name in KERNELS:
        agent, state = make_agent(kernels=kernels(name), **options), None
        for seed in range(2):
            state, metrics = agent.train(make_batch(seed=seed, **kind), state)
        told.append({key: float(value) for key, value in metrics.items()})
    assert told[0].keys() == told[1].keys()
    for key, value in told[0].items():
        np.testing.assert_allclose(told[1][key], value, rtol=2e-3, atol=1e-5, err_msg=key)


def test_an_agent_goes_on_with_other_kernels():
    first, other = (make_agent(kernels=kernels(name), jit=False) for name in KERNELS)
    first.train(make_batch())
    other.set_state(first.get_state())
    obs = observation(make_batch(), 2)
    actions, states = zip(
        *(agent.policy(obs, mode='eval') for agent in (first, other)), strict=True
    )
    np.testing.assert_array_equal(*actions)
    one, two = (first.policy_arrays(state) for state in states)
    for key, value in one.items():
        np.testing.assert_allclose(two[key], value, rtol=1e-4, atol=1e-5, err_msg=key)
    ours, theirs = (agent.foresee(make_batch()) for agent in (first, other))
    for key, value in ours.items():
        np.testing.assert_allclose(theirs[key], value, rtol=1e-3, atol=1e-4, err_msg=key)


def test_plain_updates_are_of_tensorflows_own_operations_on_the_whole_batch():
    found = {}
    for name in KERNELS:
        agent = make_agent(kernels=kernels(name))
        agent.train(make_batch())
        found[name] = operations(agent)
    counted = 'Conv2D', 'Conv2DBackpropFilter'
    plain, cpu = ([found[name].count(op) for op in counted] for name in KERNELS)
    assert plain == [4 + 4, 4 + 4]  # The encoder's forward, the decoder's backward.
    assert cpu != plain
    assert found['plain'].count('BiasAddGrad') > 0 == found['cpu'].count('BiasAddGrad')


def test_kernels_by_name():
    assert make_kernels('plain', 2) is PLAIN
    made = make_kernels('cpu', 2)
    assert isinstance(made, CpuKernels) and made.branches == 2 and made.caller_acts
