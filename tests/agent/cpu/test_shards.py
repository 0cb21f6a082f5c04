"""An agent whose batches are split into shards learns the same."""

import numpy as np
import pytest

from dreamerv2.nets.cpu import CpuKernels
from tests.agent.tiny import make_agent, make_batch


def kernels(branches):
    """Kernels that split the smallest of batches."""
    return CpuKernels(branches=branches, caller_acts=False, least_images=1, least_rollouts=1)


def update(branches, ahead, **options):
    """All state after one update; over several, equal agents' roundings grow fivefold with each."""
    # One of the settings is compiled, which takes ten times as long as one update.
    options = {'jit': False, **options}
    agent = make_agent(kernels=kernels(branches), ahead=ahead, **options)
    batch = make_batch(discrete=options.get('discrete', True))
    (agent.train_ahead if ahead else agent.train)(batch)
    if ahead:
        agent.finish()
    return agent.get_state()


OPTIONS = {
    'plain': {'jit': True},
    'ensemble': {'rssm': {'ensemble': 3}},
    'continuous': {'discrete': False, 'actor_grad': 'dynamics'},
    'normed': {'encoder': {'norm': 'layer'}, 'decoder': {'norm': 'layer'}},
}


@pytest.mark.parametrize(
    ('name', 'ahead'),
    [
        ('plain', True),
        ('ensemble', False),
        ('continuous', True),
        ('normed', False),
        pytest.param('plain', False, marks=pytest.mark.slow),
        pytest.param('ensemble', True, marks=pytest.mark.slow),
        pytest.param('continuous', False, marks=pytest.mark.slow),
        pytest.param('normed', True, marks=pytest.mark.slow),
    ],
)
def test_an_update_comes_to_the_same_weights_and_moments(name, ahead):
    whole, split = (update(branches, ahead, **OPTIONS[name]) for branches in (1, 2))
    assert whole.keys() == split.keys()
    for key, value in whole.items():
        error = np.linalg.norm(np.asarray(split[key] - value, np.float64))
        assert error <= 2e-4 * np.linalg.norm(value) + 1e-6, key


def test_the_graph_has_two_branches_of_images_and_of_rollouts():
    counts = []
    for branches in (1, 2):
        agent = make_agent(kernels=kernels(branches))
        agent.train(make_batch())
        (function,) = agent._learn._list_all_concrete_functions()
        types = [op.type for op in function.graph.get_operations()]
        # The loops: the filter's, forward and backward, and one for each shard of rollouts.
        counts.append((types.count('Conv2DBackpropFilter'), types.count('While')))
    assert counts[1][0] == 2 * counts[0][0] > 0
    assert counts[1][1] == counts[0][1] + 1
