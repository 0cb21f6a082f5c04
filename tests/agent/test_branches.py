"""An agent whose batches are split into branches learns the same."""

import numpy as np
import pytest

from dreamerv2.agent import world_model
from dreamerv2.nets import decoder, encoder
from tests.agent.tiny import make_agent, make_batch


@pytest.fixture(autouse=True)
def small_branches(monkeypatch):
    for module in (encoder, decoder):
        monkeypatch.setattr(module, 'LEAST_IMAGES', 1)
    monkeypatch.setattr(world_model, 'LEAST_ROLLOUTS', 1)


def updates(branches, ahead, **options):
    agent = make_agent(branches=branches, ahead=ahead, **options)
    for seed in range(3):
        batch = make_batch(discrete=options.get('discrete', True), seed=seed)
        (agent.train_ahead if ahead else agent.train)(batch)
    if ahead:
        agent.finish()
    return agent.get_state()


@pytest.mark.parametrize('ahead', [False, True])
@pytest.mark.parametrize(
    'options',
    [
        {},
        {'rssm': {'ensemble': 3}},
        {'discrete': False, 'actor_grad': 'dynamics'},
        {'encoder': {'norm': 'layer'}, 'decoder': {'norm': 'layer'}},
    ],
    ids=['plain', 'ensemble', 'continuous', 'normed'],
)
def test_three_updates_come_to_the_same_weights(options, ahead):
    whole, split = (updates(branches, ahead, **options) for branches in (1, 2))
    assert whole.keys() == split.keys()
    for name, value in whole.items():
        np.testing.assert_allclose(split[name], value, rtol=1e-3, atol=2e-5, err_msg=name)


def test_the_graph_has_two_branches_of_images_and_of_rollouts():
    counts = []
    for branches in (1, 2):
        agent = make_agent(branches=branches)
        agent.train(make_batch())
        (function,) = agent._learn._list_all_concrete_functions()
        types = [op.type for op in function.graph.get_operations()]
        # The loops: the filter's, there and back, and one for each stretch of rollouts.
        counts.append((types.count('Conv2DBackpropFilter'), types.count('While')))
    assert counts[1][0] == 2 * counts[0][0] > 0
    assert counts[1][1] == counts[0][1] + 1
