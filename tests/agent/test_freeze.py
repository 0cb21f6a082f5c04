"""Frozen parameters stay as they are, and what starts from another agent predicts as it does."""

import re

import numpy as np
import pytest
import tensorflow as tf

from dreamerv2.run.checkpoint.start_from import Choice, inherit
from tests.agent.tiny import make_agent, make_batch

WD = {'opt': 'adam', 'lr': 1e-2, 'eps': 1e-5, 'clip': 1e-3, 'wd': 0.1}


def parameters(agent):
    return {name: value.numpy() for name, value in agent.parameters().items()}


@pytest.mark.parametrize(
    'freeze', ['encoder/.*', '(rssm|encoder|decoder|reward|discount)/.*', 'actor/.*', '.*']
)
def test_frozen_parameters_do_not_change_and_the_others_do(freeze):
    agent = make_agent(
        init={'freeze': freeze}, model_opt=WD, actor_opt=WD, critic_opt=WD, jit=False
    )
    before = parameters(agent)
    for seed in range(3):
        _, metrics = agent.train(make_batch(seed=seed))
    assert np.isfinite([float(value) for value in metrics.values()]).all()
    for name, value in parameters(agent).items():
        if name.startswith('slow_critic/'):
            continue  # It follows the critic.
        same = np.array_equal(value, before[name])
        assert same == bool(re.fullmatch(freeze, name)), name


def test_frozen_parameters_have_no_part_in_the_norm_that_is_clipped():
    norms = []
    for freeze in ('', 'decoder/.*'):
        agent = make_agent(init={'freeze': freeze}, jit=False)
        _, metrics = agent.train(make_batch())
        norms.append(float(metrics['model_grad_norm']))
        moments = [name for name in agent.get_state() if 'moment' in name]
        assert any('decoder' in name for name in moments) == (not freeze)
    assert norms[1] < norms[0]


def test_an_agent_that_starts_from_another_predicts_exactly_as_it_does():
    parent, child = (make_agent(seed=seed, jit=False) for seed in (1, 2))
    for seed in range(3):
        parent.train(make_batch(seed=seed))
    state, _ = inherit(parent.get_state(), child.get_state(), Choice())
    child.set_state(state)
    theirs, ours = parameters(parent), parameters(child)
    for name in theirs:
        source = name.replace('slow_critic/', 'critic/')
        np.testing.assert_array_equal(ours[name], theirs[source], err_msg=name)
    batch = make_batch(seed=9)
    outputs = []
    for agent in (parent, child):
        model = agent.world_model
        data = model.preprocess({k: tf.constant(v) for k, v in batch.items() if k != 'level'})
        embed = model.encoder(data)
        start = model.rssm.initial(len(batch['reward']))
        posterior, _ = model.rssm.observe(embed, data['action'], data['is_first'], start, None)
        features = model.rssm.features(posterior)
        outputs.append([
            *(dist.mode() for dist in model.decoder(features).values()),
            model.heads['reward'](features).mode(),
            model.heads['discount'](features).mean(),
            agent.actor_critic.actor(features).logits,
            agent.actor_critic.critic(features).mode(),
        ])  # fmt: skip
    for expected, found in zip(*outputs, strict=True):
        np.testing.assert_array_equal(found, expected)
    assert child.get_state()['model_opt/updates'] == 0
    assert child.updates == 0
