"""Rows whose mask is 0 carry no loss anywhere."""

import numpy as np
import pytest
import tensorflow as tf

from dreamerv2.agent.kl import kl_loss
from tests.agent.tiny import make_agent, make_batch


@pytest.mark.parametrize('free', [0.0, 1e6])
def test_what_stands_in_masked_rows_does_not_matter(free):
    batch = make_batch(image=False)
    batch['mask'][:, 6:] = 0
    changed = {k: v.copy() for k, v in batch.items()}
    changed['reward'][:, 6:] = 9
    changed['is_terminal'][:, 6:] = True
    changed['position'][:, 6:] = 7
    results = []
    for data in (batch, changed):
        agent = make_agent(image=False, kl={'free': free, 'free_avg': False}, jit=False)
        _, metrics = agent.train(data)
        names = ('model_loss', 'actor_loss', 'critic_loss', 'model_kl', 'reward_mean', 'actor_ent')
        results.append([float(metrics[name]) for name in names])
        results[-1] += list(agent.get_state()['parameters/rssm/gru/bias'])
    np.testing.assert_allclose(results[0], results[1], rtol=1e-5)


def test_masked_rows_leave_the_loss_of_the_others_unscaled():
    batch = make_batch(image=False)
    short = {k: v[:, :4] for k, v in batch.items()}
    masked = {**batch, 'mask': batch['mask'] * (np.arange(8) < 4)}
    losses = []
    for data in (short, masked):
        agent = make_agent(image=False)
        data = agent.to_device(data)
        state = agent.world_model.rssm.initial(3)
        losses.append(float(agent.world_model.loss(data, state, None)[0]))
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-5)


def test_free_nats_hold_the_masked_mean():
    rng = np.random.default_rng(0)
    states = [{'logit': tf.constant(rng.normal(size=(2, 4, 3, 5)), tf.float32)} for _ in range(2)]
    mask = tf.constant([[1, 1, 0, 0], [1, 0, 0, 0]], tf.float32)
    options = {'forward': False, 'balance': 0.8, 'free_avg': True}
    loss, value = kl_loss(*states, mask, free=0.0, **options)
    expected = float(tf.reduce_sum(value * mask) / 3)
    np.testing.assert_allclose(loss, expected, rtol=1e-5)
    held, _ = kl_loss(*states, mask, free=expected + 1, **options)
    np.testing.assert_allclose(held, expected + 1, rtol=1e-5)
