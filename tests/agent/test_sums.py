"""Equal updates are equal bit for bit: no sum in them is made in an order that varies.

Not so for continuous actions, whose distributions have such sums in TensorFlow Probability.
"""

import pytest
import tensorflow as tf
from tensorflow.python.eager import context

from tests.agent.tiny import kernels, make_agent, make_batch

PLAIN = {'kernels': kernels('plain')}
NORMED = {name: {'norm': 'layer'} for name in ('rssm', 'encoder', 'actor')}
VARIANTS = {
    'levels': {'levels': ['a', 'b']},
    'gaussian': {'image': False, 'rssm': {'discrete': 0, 'ensemble': 3}},
    'shards': {'kernels': kernels('cpu')},
    'shards ahead': {'kernels': kernels('cpu'), 'ahead': True},
    'plain gaussian': {'image': False, 'rssm': {'discrete': 0, 'ensemble': 3}, **PLAIN},
    'plain normed levels': {'levels': ['a', 'b'], **NORMED, **PLAIN},
    'normed': NORMED,
}
QUICK = 'levels', 'shards', 'plain gaussian', 'plain normed levels'


@pytest.mark.parametrize(
    'variant',
    [v if v in QUICK else pytest.param(v, marks=pytest.mark.slow) for v in VARIANTS],
)
def test_no_sum_of_many_terms_is_left_to_timing(variant):
    # TensorFlow's AddN begins with whichever terms it may overwrite, and its optimiser makes
    # AddN of sums that were written otherwise: so the optimised graph is what counts.
    options = VARIANTS[variant]
    agent = make_agent(**options)
    context.enable_run_metadata()
    context.enable_graph_collection()
    try:
        train = agent.train_ahead if options.get('ahead') else agent.train
        train(make_batch(image=options.get('image', True)))
        graphs = context.export_run_metadata().function_graphs
    finally:
        context.disable_run_metadata()
    nodes = []  # With the function that they stand in; names are unique only there.
    for graph in (graph.post_optimization_graph for graph in graphs):
        bodies = {'': graph.node, **{f.signature.name: f.node_def for f in graph.library.function}}
        nodes += [(body, n) for body, group in bodies.items() for n in group if n.op == 'AddN']
    assert nodes, 'no optimised graph was seen'
    found = [
        (body, node.name, list(node.input))
        for body, node in nodes
        if node.attr['N'].i > 2 and node.attr['T'].type != tf.variant.as_datatype_enum
    ]
    assert not found
