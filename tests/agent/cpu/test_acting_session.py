"""The policy in the thread that calls for it: the same actions, and when it takes newer weights."""

import threading

import numpy as np
import pytest
import tensorflow as tf

from dreamerv2.cores import usable_cores
from dreamerv2.nets.cpu import CpuKernels
from tests.agent.test_agent import observation
from tests.agent.tiny import make_agent, make_batch


def play(agent, batch, modes=('train', 'eval', 'train', 'eval_sample'), state=None, envs=2):
    """Actions and states of one call for each mode, and the last state."""
    found = []
    for mode in modes:
        action, state = agent.policy(observation(batch, envs), state, mode=mode)
        found += [action, *(value for _, value in sorted(agent.policy_arrays(state).items()))]
    return found, state


PIXELS = {'expl_noise': 0.3, 'encoder': {'norm': 'layer'}}
VECTORS = {'discrete': False, 'image': False, 'expl_noise': 0.3, 'rssm': {'norm': 'layer'}}
GAUSSIAN = {'rssm': {'discrete': 0, 'ensemble': 2}, 'eval_state_mean': True}


@pytest.mark.parametrize(
    ('options', 'precision'),
    [
        (PIXELS, 'float32'),
        pytest.param(PIXELS, 'bfloat16', marks=pytest.mark.slow),
        (VECTORS, 'bfloat16'),
        pytest.param(GAUSSIAN, 'float32', marks=pytest.mark.slow),
    ],
    ids=['pixels-float32', 'pixels-bfloat16', 'continuous-bfloat16', 'gaussian-float32'],
)
def test_a_session_computes_what_the_compiled_functions_do(options, precision):
    kind = {k: options[k] for k in ('discrete', 'image') if k in options}
    one = make_agent(**options, precision=precision)
    other = make_agent(**options, precision=precision, kernels=CpuKernels())
    for batch in (make_batch(**kind), make_batch(**kind, seed=1)):
        for ours, theirs in zip(play(other, batch)[0], play(one, batch)[0], strict=True):
            np.testing.assert_array_equal(ours, theirs)
        one.train(batch)
        other.set_state(one.get_state())
    assert other.traces['act'] == one.traces['act'] == 3  # One graph for each mode.


def test_it_goes_on_from_a_state_that_was_written_down():
    batch = make_batch()
    agent = make_agent(kernels=CpuKernels())
    saved = agent.get_state()
    expected = play(agent, batch, modes=('train', 'eval'))[0]
    agent.set_state(saved)
    first, state = play(agent, batch, modes=('train',))
    state = agent.policy_state(agent.policy_arrays(state))
    found = first + play(agent, batch, modes=('eval',), state=state)[0]
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_an_acting_copy_changes_only_when_told_to():
    agent = make_agent(kernels=CpuKernels(), acting_copy=True, eval_state_mean=True)
    batch = make_batch()

    def latents():
        return play(agent, batch, modes=('eval',))[0]

    before = latents()
    agent.train(batch)
    for ours, theirs in zip(latents(), before, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    agent.sync_policy()
    assert any((ours != theirs).any() for ours, theirs in zip(latents(), before, strict=True))


def test_it_does_not_wait_for_the_threads_of_a_learner():
    agent, batch = make_agent(kernels=CpuKernels()), make_batch()
    play(agent, batch, modes=('train',))
    # As many as there are cores to use where nothing else was asked for.
    threads = tf.config.threading.get_inter_op_parallelism_threads() or usable_cores()
    release, busy = threading.Event(), threading.Semaphore(0)

    def block():
        busy.release()
        release.wait(60)
        return np.float32(0)

    @tf.function(autograph=False)
    def blocked():
        return tf.numpy_function(block, [], tf.float32)

    holders = [threading.Thread(target=blocked) for _ in range(threads)]
    for holder in holders:
        holder.start()
    try:
        assert all(busy.acquire(timeout=60) for _ in holders), 'not all threads are held up'
        caller = threading.Thread(target=play, args=(agent, batch, ('train',)))
        caller.start()
        caller.join(30)
        assert not caller.is_alive()
    finally:
        release.set()
        for holder in holders:
            holder.join()


def test_without_compilation_there_is_no_session():
    batch = make_batch()
    one, other = make_agent(jit=False), make_agent(jit=False, kernels=CpuKernels())
    for ours, theirs in zip(play(other, batch)[0], play(one, batch)[0], strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_many_environments_are_computed_alike_in_branches():
    row = observation(make_batch(), 1)
    obs = {key: np.repeat(value, 64, 0) for key, value in row.items()}
    one, other = (
        make_agent(kernels=CpuKernels(branches=2, caller_acts=acts)) for acts in (False, True)
    )
    (expected, _), (found, _) = one.policy(obs), other.policy(obs)
    np.testing.assert_array_equal(found, expected)
    assert len({tuple(action) for action in found}) > 1  # Each environment has its own draw.
