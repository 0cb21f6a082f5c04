"""Updates of which one half is computed beside the other half of the next."""

import numpy as np
import pytest
import tensorflow as tf

from tests.agent.tiny import make_agent, make_batch


@pytest.mark.parametrize(
    'changes, broken',
    [
        ({}, ()),
        ({'precision': 'bfloat16', 'levels': ['a', 'b']}, ()),
        ({'jit': False, 'image': False}, ()),
        pytest.param({'discrete': False, 'image': False}, (), marks=pytest.mark.slow),
        pytest.param({'precision': 'float16', 'image': False}, (), marks=pytest.mark.slow),
        (
            {
                'init': {'freeze': '(rssm|actor)/.*'},
                'reward_norm': {'momentum': 0.9},
                'image': False,
            },
            (1, 3),
        ),
    ],
)
def test_updates_made_ahead_are_those_made_one_after_the_other(changes, broken):
    one, other = make_agent(**changes), make_agent(**changes)
    kind = {key: changes[key] for key in ('image', 'discrete') if key in changes}
    state = ahead = None
    expected, metrics = [], []
    for step in range(5):
        batch = make_batch(seed=step, **kind)
        batch['level'] = np.full(batch['reward'].shape, step % 2, np.int32)
        if step in broken:  # Such an update is left out.
            batch['reward'][0, 3] = np.nan
        state, told = one.train(batch, state, step)
        expected.append(told)
        ahead, told = other.train_ahead(batch, ahead, step)
        assert (told is None) == (step in (0, 3))
        metrics.append(told)
        if step == 2:
            metrics.append(other.finish())
    with pytest.raises(RuntimeError, match='finish'):
        other.get_state()
    metrics.append(other.finish())
    assert other.finish() is None
    metrics = [told for told in metrics if told is not None]
    assert len(metrics) == len(expected)
    for told, wanted in zip(metrics, expected, strict=True):
        tf.nest.map_structure(np.testing.assert_array_equal, told, wanted)
    if changes.get('precision') != 'float16':  # Its first scales are too large.
        assert int(metrics[-1]['skipped_updates']) == len(broken)
    arrays = other.get_state()
    for name, value in one.get_state().items():
        assert (value == arrays[name]).all(), name
    if changes.get('jit', True):
        assert other.traces['learn'] == 1


def test_nothing_is_mixed_with_an_update_that_is_not_completed():
    agent, batch = make_agent(image=False), make_batch(image=False)
    saved = agent.get_state()
    agent.train_ahead(batch)
    for call in (agent.get_state, lambda: agent.set_state(saved), lambda: agent.train(batch)):
        with pytest.raises(RuntimeError, match='finish'):
            call()
    assert agent.updates == 1
    agent.finish()
    agent.set_state(saved)
    for name, value in agent.get_state().items():
        np.testing.assert_array_equal(value, saved[name])


@pytest.mark.parametrize('changes', [{}, {'precision': 'float16'}, {'slow_target': False}])
def test_every_variable_is_of_one_half(changes):
    agent = make_agent(image=False, **changes)
    model, behavior = ([v.ref() for v in half] for half in agent.learner.halves())
    assert len({*model, *behavior}) == len(model) + len(behavior)
    assert {*model, *behavior} == {v.ref() for v in agent.variables().values()}


def test_an_error_leaves_the_other_half_as_it_was(monkeypatch):
    agent, batch = make_agent(image=False), make_batch(image=False)
    overlap, both = agent._overlap, agent._overlap._both

    def failing(*args):
        both(*args)
        raise OSError('out of memory')

    def values(half):
        return [variable.numpy() for variable in agent.learner.halves()[half]]

    def assert_kept(half, call):
        before = values(half)
        with monkeypatch.context() as patch:
            patch.setattr(overlap, '_both', failing)
            with pytest.raises(OSError, match='out of memory'):
                call()
        for value, other in zip(values(half), before, strict=True):
            np.testing.assert_array_equal(value, other)

    assert_kept(1, lambda: agent.train_ahead(batch))
    agent.train_ahead(batch)
    assert_kept(0, agent.finish)
