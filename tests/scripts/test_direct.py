"""The direct way that speed is compared with computes the same numbers."""

import numpy as np
import pytest
import tensorflow as tf
from benchmarks.direct import direct_implementation

from dreamerv2.nets.convolutions import Conv
from tests.agent.tiny import make_agent, make_batch


@pytest.mark.parametrize('norm', ['none', 'layer'])
def test_updates_are_the_same_and_the_operations_are_not(norm):
    results = []
    for direct in (False, True):
        nets = {'encoder': {'norm': norm}, 'decoder': {'norm': norm}}
        agent = make_agent(**nets)
        if direct:
            with direct_implementation():
                agent.train(make_batch(seed=0))
        else:
            agent.train(make_batch(seed=0))
        _, metrics = agent.train(make_batch(seed=1))
        results.append({name: float(value) for name, value in metrics.items()})
    for name, value in results[0].items():
        np.testing.assert_allclose(results[1][name], value, rtol=2e-3, atol=1e-5, err_msg=name)


def test_outside_everything_is_as_before():
    call = Conv.__call__
    with direct_implementation():
        assert Conv.__call__ is not call
        layer = Conv(1, 2, 4, rng=np.random.default_rng(0), dtype=tf.float32)
        graph = tf.function(layer, autograph=False).get_concrete_function(tf.ones([1, 8, 8, 1]))
        assert 'SpaceToDepth' not in {op.type for op in graph.graph.get_operations()}
    assert Conv.__call__ is call
