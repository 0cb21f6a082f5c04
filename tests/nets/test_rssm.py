"""Recurrent state-space model: sequences, by either kernels, against single steps."""

import numpy as np
import pytest
import tensorflow as tf

from dreamerv2.nets.cpu import CpuKernels
from dreamerv2.nets.layers import PLAIN
from dreamerv2.nets.rssm import RSSM

BATCH, TIME, EMBED, ACTIONS = 3, 6, 10, 4


both_kernels = pytest.mark.parametrize('kernels', [PLAIN, CpuKernels()], ids=['plain', 'cpu'])


def make(discrete=5, ensemble=1, norm='layer', kernels=PLAIN):
    return RSSM(
        EMBED,
        ACTIONS,
        ensemble=ensemble,
        stoch=4,
        deter=8,
        hidden=7,
        discrete=discrete,
        act='elu',
        norm=norm,
        std_act='sigmoid2',
        min_std=0.1,
        rng=np.random.default_rng(0),
        dtype=tf.float32,
        kernels=kernels,
    )


def inputs():
    rng = np.random.default_rng(1)
    embed = tf.constant(rng.normal(size=(BATCH, TIME, EMBED)), tf.float32)
    action = tf.constant(rng.normal(size=(BATCH, TIME, ACTIONS)), tf.float32)
    is_first = tf.constant(rng.uniform(size=(BATCH, TIME)) < 0.3)
    return embed, action, is_first


@pytest.mark.parametrize('discrete', [0, 5])
@pytest.mark.parametrize('norm', ['none', 'layer'])
@both_kernels
def test_observe_equals_single_steps(discrete, norm, kernels):
    rssm = make(discrete, norm=norm, kernels=kernels)
    embed, action, is_first = inputs()
    noise = rssm.noise([BATCH, TIME], tf.constant([1, 2]))
    posterior, prior = rssm.observe(embed, action, is_first, rssm.initial(BATCH), noise)
    state = rssm.initial(BATCH)
    for t in range(TIME):
        state = rssm.observe_step(embed[:, t], action[:, t], is_first[:, t], state, noise[:, t])
        for key, value in state.items():
            np.testing.assert_allclose(posterior[key][:, t], value, rtol=1e-4, atol=1e-5)
    again = rssm.prior(posterior['deter'], None)
    for key in again:
        np.testing.assert_allclose(prior[key], again[key], rtol=1e-5, atol=1e-6)


def test_the_backward_pass_on_a_cpu_is_short_and_adds_two_gradients_at_a_time():
    rssm = make(kernels=CpuKernels())
    kernel = rssm.parameters()['gru/kernel']

    @tf.function(autograph=False)
    def gradient(embed, action, is_first):
        with tf.GradientTape() as tape:
            posterior, prior = rssm.observe(embed, action, is_first, rssm.initial(BATCH), None)
            loss = tf.add_n([tf.reduce_sum(x**2) for x in (*posterior.values(), *prior.values())])
        return tape.gradient(loss, kernel)

    graph = gradient.get_concrete_function(*inputs()).graph.as_graph_def()
    bodies = {f.signature.name: f.node_def for f in graph.library.function}
    operations = [node for nodes in bodies.values() for node in nodes]
    assert any(node.op == 'TanhGrad' for node in operations), 'there is no loop backwards'
    assert not any(node.op == 'TensorListPushBack' for node in operations), 'values are stacked'
    assert not any('cflow_gradient_wrapper' in name for name in bodies), 'gradients of gradients'
    # Sums of more are made in an order that depends on timing: equal runs would differ.
    sums = [node.attr['N'].i for node in operations if node.op == 'AddN']
    assert sums and max(sums) == 2


@both_kernels
def test_is_first_forgets_state_and_action_before_it(kernels):
    rssm = make(kernels=kernels)
    embed, action, _ = inputs()
    is_first = tf.constant(np.eye(TIME, dtype=bool)[[2] * BATCH])
    long, _ = rssm.observe(embed, action, is_first, rssm.initial(BATCH), None)
    other = tf.concat([action[:, :3] * 5 + 1, action[:, 3:]], 1)
    changed, _ = rssm.observe(embed, other, is_first, rssm.initial(BATCH), None)
    np.testing.assert_allclose(long['deter'][:, 2:], changed['deter'][:, 2:], rtol=1e-5)
    assert np.abs(long['deter'][:, 1] - changed['deter'][:, 1]).max() > 1e-3


def test_ensemble_members_give_different_priors_and_are_picked_by_seed():
    rssm = make(ensemble=3)
    deter = tf.constant(np.random.default_rng(0).normal(size=(2, 8)), tf.float32)
    logits = [rssm.prior(deter, None, member)['logit'].numpy() for member in range(3)]
    assert np.abs(logits[0] - logits[1]).max() > 1e-3
    picked = {int(rssm.pick_member(tf.constant([0, index]))) for index in range(40)}
    assert picked == {0, 1, 2}
    assert {'img_out_0/kernel', 'img_dist_2/bias'} <= set(rssm.parameters())


def test_features_put_the_latents_first():
    rssm = make(discrete=5)
    state = {'stoch': tf.ones([2, 4, 5]), 'deter': tf.zeros([2, 8])}
    features = rssm.features(state)
    assert features.shape == (2, 28)
    np.testing.assert_array_equal(features[0, :20], np.ones(20))
