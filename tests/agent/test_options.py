"""Options from newer Dreamers (arXiv:2301.04104v2) against numbers computed by hand."""

import math

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from dreamerv2.agent.kl import categorical_kl, kl_loss
from dreamerv2.agent.returns import (
    ReturnNormalizer,
    lambda_return,
    masked_quantiles,
    replayed_return,
)
from dreamerv2.nets import distributions
from dreamerv2.nets.mlp import DistributionLayer
from dreamerv2.nets.optimizer import Optimizer, adaptively_clipped
from tests.agent.tiny import ACTIONS, make_agent, make_batch

EVERY_OPTION = {
    'rssm': {'unimix': 0.01},
    'actor': {'unimix': 0.01},
    'decoder': {'error_weight': 20.0},
    'reward_head': {'dist': 'twohot'},
    'critic': {'dist': 'twohot'},
    'return_norm': {'scope': 'all', 'rate': 0.01, 'low': 0.05, 'high': 0.95, 'least': 1.0},
    'slow_regularizer': 1.0,
    'critic_replay': 0.3,
    'bootstrap': 'online',
    'slow_target_update': 1,
    'slow_target_fraction': 0.02,
    'model_opt': {'agc': 0.3, 'warmup': 1000, 'lr': 'linear(1e-3,1e-4,1e5)'},
    'actor_opt': {'agc': 0.3, 'warmup': 1000},
    'critic_opt': {'agc': 0.3, 'warmup': 1000},
    'kl': {'free': 1.0, 'free_avg': False, 'balance': 0.909},
    'loss_scales': {'kl': 1.1, 'image': 2.0},
}
OFF = {
    'rssm': {'unimix': 0.0},
    'actor': {'unimix': 0.0},
    'encoder': {'symlog': False},
    'decoder': {'error_weight': 0.0, 'symlog': False},
    'return_norm': {'scope': 'none', 'rate': 0.01, 'low': 0.05, 'high': 0.95, 'least': 1.0},
    'slow_regularizer': 0.0,
    'critic_replay': 0.0,
    'bootstrap': 'slow',
    'loss_scales': {'image': 1.0},
    'model_opt': {'agc': 0.0, 'warmup': 0},
}


def test_a_uniform_share_is_added_to_probabilities():
    mixed = distributions.mix_uniform(tf.constant([[0.0, math.log(3.0)]]), 0.2)
    np.testing.assert_allclose(np.exp(mixed), [[0.8 * 0.25 + 0.1, 0.8 * 0.75 + 0.1]], rtol=1e-6)
    certain = distributions.mix_uniform(tf.constant([[200.0, -200.0]]), 0.01)
    np.testing.assert_allclose(np.exp(certain), [[0.995, 0.005]], rtol=1e-5)


def test_latents_and_actions_are_mixed_when_learning_and_when_acting():
    agent = make_agent(**EVERY_OPTION)
    for name, variable in agent.parameters().items():
        if name in ('actor/out/bias', 'rssm/obs_dist/bias', 'rssm/img_dist/bias'):
            variable.assign(tf.one_hot(0, variable.shape[0]) * 1000)
    agent.sync_policy()
    features = tf.zeros([1, agent.world_model.rssm.feature_size])
    probs = agent.actor_critic.actor(features).mean().numpy()
    np.testing.assert_allclose(probs.min(), 0.01 / ACTIONS, rtol=1e-4)
    prior = agent.world_model.rssm.prior(tf.zeros([1, 8]), None)
    np.testing.assert_allclose(np.exp(prior['logit'])[0, 0].min(), 0.01 / 4, rtol=1e-4)
    obs = {k: v[:1, 0] for k, v in make_batch().items()}
    state, drawn = None, []
    for _ in range(400):
        action, state = agent.policy(obs, state)
        drawn.append(int(action[0].argmax()))
    share = np.mean(np.array(drawn) != 0)
    assert 0 < share < 0.04  # 3/4 of 1 % are other actions.


def test_pixel_weights_by_hand():
    square = np.zeros([1, 5, 5, 1], np.float32)
    square[0, 2, 2, 0] = 9.0
    found = distributions.pixel_weights(tf.constant(square), 20.0).numpy()[0, :, :, 0]
    # Each of the nine pixels around has an error of 1; the mean over 25 pixels is 9/25.
    expected = np.ones([5, 5])
    expected[1:4, 1:4] += 20 / 50 * (1 / (9 / 25))
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    far = np.zeros([1, 64, 64, 2], np.float32)
    far[0, 30, 30] = 1.0
    found = distributions.pixel_weights(tf.constant(far), 20.0).numpy()
    np.testing.assert_allclose(found.max(), 21.0, rtol=1e-6)  # Limited to 50 times the mean.
    np.testing.assert_allclose(found.min(), 1.0)
    nothing = distributions.pixel_weights(tf.zeros([1, 4, 4, 3]), 20.0)
    np.testing.assert_array_equal(nothing, tf.ones([1, 4, 4, 1]))


@pytest.mark.parametrize('shape', [(3, 64, 64, 1), (2, 5, 7, 3), (1, 1, 2, 1)])
def test_means_of_neighbours_are_those_of_average_pooling_bit_for_bit(shape):
    images = np.random.default_rng(0).exponential(size=shape).astype(np.float32) ** 3
    ours = tf.function(distributions.neighbourhood_mean, autograph=False)(images)
    np.testing.assert_array_equal(ours, tf.nn.avg_pool2d(images, 3, 1, 'SAME'))


def test_weighted_pixels_keep_the_likelihood_and_weight_its_gradient():
    rng = np.random.default_rng(0)
    mean, value = (tf.constant(rng.normal(size=[2, 3, 8, 8, 3]), tf.float32) for _ in range(2))
    results = []
    for strength in (0.0, 20.0):
        with tf.GradientTape() as tape:
            tape.watch(mean)
            likelihood = distributions.UnitNormal(mean, 3, strength).log_prob(value)
        results.append((likelihood.numpy(), tape.gradient(likelihood, mean).numpy()))
    (plain, gradient), (weighted, other) = results
    np.testing.assert_array_equal(plain, weighted)
    weights = distributions.pixel_weights(tf.square(mean - value), 20.0).numpy()
    np.testing.assert_allclose(other, gradient * weights, rtol=1e-5)
    assert weights.std() > 0.01


def test_symlog_and_its_inverse():
    values = np.array([-1000.0, -1.0, 0.0, 0.5, 1e6], np.float32)
    squashed = distributions.symlog(values).numpy()
    np.testing.assert_allclose(squashed, np.sign(values) * np.log(1 + np.abs(values)), rtol=1e-6)
    np.testing.assert_allclose(distributions.symexp(squashed), values, rtol=1e-5)
    dist = distributions.SymlogNormal(tf.constant([[math.log(11.0)]]), 1)
    np.testing.assert_allclose(dist.mode(), [[10.0]], rtol=1e-6)
    expected = -0.5 * (math.log(11.0) - math.log(3.0)) ** 2 - 0.5 * math.log(2 * math.pi)
    np.testing.assert_allclose(dist.log_prob(tf.constant([[2.0]])), [expected], rtol=1e-6)


def test_vectors_are_squashed_in_encoder_and_decoder():
    batch = make_batch(image=False)
    plain, squashed = (
        make_agent(image=False, encoder={'symlog': on}, decoder={'symlog': on})
        for on in (False, True)
    )
    inputs = {k: tf.constant(batch[k]) for k in ('position', 'velocity')}
    small = {k: distributions.symlog(v) for k, v in inputs.items()}
    embed = squashed.world_model.encoder(inputs)
    np.testing.assert_allclose(embed, plain.world_model.encoder(small), rtol=1e-6)
    features = tf.ones([2, 3, plain.world_model.rssm.feature_size])
    for key in ('position', 'velocity'):
        mean = plain.world_model.decoder(features)[key].mean()
        other = squashed.world_model.decoder(features)[key].mean()
        np.testing.assert_allclose(other, distributions.symexp(mean), rtol=1e-5)


def test_two_hot_bins_and_means():
    bins = distributions.TwoHot.bins().numpy()
    assert len(bins) == 255 and bins[127] == 0
    np.testing.assert_array_equal(bins, -bins[::-1])
    expected = np.sign(np.linspace(-20, 20, 255)) * np.expm1(np.abs(np.linspace(-20, 20, 255)))
    np.testing.assert_allclose(bins, expected, rtol=1e-5, atol=1e-6)
    logits = np.full([2, 255], -1e9, np.float32)
    logits[0, 130] = 0
    logits[1, [130, 131]] = math.log(0.25), math.log(0.75)
    mean = distributions.TwoHot(tf.constant(logits)).mean()
    np.testing.assert_allclose(mean, [bins[130], 0.25 * bins[130] + 0.75 * bins[131]], rtol=1e-5)
    assert distributions.TwoHot(tf.zeros([1, 255])).mode().numpy() == [0.0]


def test_two_hot_likelihood_is_shared_between_neighbouring_bins():
    bins = distributions.TwoHot.bins().numpy().astype(np.float64)
    logits = np.random.default_rng(0).normal(size=[5, 255]).astype(np.float32)
    dist = distributions.TwoHot(tf.constant(logits))
    log_probs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    between = 0.3 * bins[140] + 0.7 * bins[141]
    values = np.array([between, 0.0, 1e12, -1e12, bins[3]], np.float32)
    expected = [
        0.3 * log_probs[0, 140] + 0.7 * log_probs[0, 141],
        log_probs[1, 127],
        log_probs[2, 254],
        log_probs[3, 0],
        log_probs[4, 3],
    ]
    np.testing.assert_allclose(dist.log_prob(tf.constant(values)), expected, rtol=1e-4)


def test_a_two_hot_layer_starts_from_zero():
    layer = DistributionLayer(4, [], rng=np.random.default_rng(0), dtype=tf.float32, dist='twohot')
    dist = layer(tf.random.stateless_normal([3, 4], [0, 0]))
    np.testing.assert_array_equal(dist.mode(), np.zeros(3))
    with pytest.raises(ValueError, match='scalars'):
        DistributionLayer(4, [2], rng=np.random.default_rng(0), dtype=tf.float32, dist='twohot')


def test_quantiles_of_the_rows_that_count():
    rng = np.random.default_rng(0)
    values, mask = rng.normal(size=[7, 30]).astype(np.float32), rng.uniform(size=[7, 30]) < 0.7
    found = masked_quantiles(tf.constant(values), tf.constant(mask, tf.float32), [0, 0.05, 0.95, 1])
    np.testing.assert_allclose(found, np.quantile(values[mask], [0, 0.05, 0.95, 1]), rtol=1e-5)


def test_the_range_of_returns_moves_and_small_ones_do_not_amplify():
    returns = tf.constant(np.linspace(0, 100, 101), tf.float32)[:, None]
    norm = ReturnNormalizer(scope='all', rate=0.01)
    mask, level = tf.ones(returns.shape), tf.zeros([1], tf.int32)
    scale, metrics = norm(returns, mask, level)
    np.testing.assert_allclose([scale.numpy()[0], metrics['return_range']], 90.0, rtol=1e-5)
    scale, _ = norm(returns * 2, mask, level)
    np.testing.assert_allclose(scale, [0.99 * 90 + 0.01 * 180], rtol=1e-5)
    scale, _ = ReturnNormalizer(scope='all')(returns / 1000, mask, level)
    np.testing.assert_array_equal(scale, [1.0])
    scale, metrics = ReturnNormalizer()(returns, mask, level)
    np.testing.assert_array_equal(scale, [1.0])
    assert metrics == {}


def test_each_level_has_a_range_of_its_own():
    line = np.linspace(0, 100, 101)
    returns = tf.constant(np.stack([line, 3 * line, 5 * line], 1), tf.float32)
    norm = ReturnNormalizer(4, scope='level')
    mask = tf.constant(np.ones([101, 3]) * [1, 1, 0], tf.float32)
    scale, _ = norm(returns, mask, tf.constant([2, 0, 1]))
    np.testing.assert_allclose(norm.range, [270, 0, 90, 0], rtol=1e-5)  # 1 is masked, 3 unseen.
    np.testing.assert_allclose(scale, [90, 270, 1], rtol=1e-5)


def test_values_that_are_not_finite_leave_the_range_as_it_is():
    norm = ReturnNormalizer(scope='all')
    level = tf.zeros([1], tf.int32)
    norm(tf.constant([[0.0], [10.0]]), tf.ones([2, 1]), level)
    norm(tf.constant([[math.nan], [10.0]]), tf.ones([2, 1]), level)
    norm(tf.constant([[math.inf], [10.0]]), tf.ones([2, 1]), level)
    np.testing.assert_allclose(norm.range, [9.0], rtol=1e-6)


def imagined(agent, batch):
    """An imagined sequence with its targets, from modes."""
    data = agent.to_device(batch)
    state = agent.world_model.rssm.initial(len(batch['reward']))
    _, outputs, _ = agent.world_model.loss(data, state, None)
    start = outputs['posterior']
    return agent.learner.imagine(start, data['is_terminal'], data['mask'], None)


@pytest.mark.parametrize('bootstrap', ['slow', 'online'])
def test_where_targets_bootstrap_from(bootstrap):
    agent = make_agent(bootstrap=bootstrap, discount_lambda=0.0)
    agent.parameters()['slow_critic/out/bias'].assign([5.0])
    sequence, target, _, _ = imagined(agent, make_batch())
    critic = agent.actor_critic.critic(sequence['feat']).mode()
    slow = agent.actor_critic.slow_critic(sequence['feat']).mode()
    value = slow if bootstrap == 'slow' else critic
    expected = sequence['reward'][:-1] + sequence['discount'][:-1] * value[1:]
    np.testing.assert_allclose(target, expected, rtol=1e-5)
    np.testing.assert_array_equal(sequence['value'], value)
    assert np.abs(slow - critic).min() > 1


def test_the_critic_is_drawn_to_its_slow_copy():
    agent = make_agent(slow_regularizer=0.5)
    agent.parameters()['slow_critic/out/bias'].assign([5.0])
    sequence, target, mask, _ = imagined(agent, make_batch())
    loss, _ = agent.actor_critic.critic_loss(sequence, target, mask)
    value = agent.actor_critic.critic(sequence['feat'][:-1]).mode().numpy()
    constant = 0.5 * math.log(2 * math.pi)
    fit = -0.5 * (value - target.numpy()) ** 2 - constant
    fit += 0.5 * (-0.5 * (value - sequence['slow_value'][:-1].numpy()) ** 2 - constant)
    expected = -np.mean(fit * sequence['weight'][:-1].numpy())
    np.testing.assert_allclose(loss, expected, rtol=1e-5)


def test_returns_along_recorded_rows_by_hand():
    reward, value = np.array([1.0, 2.0, 4.0, 8.0]), np.array([10.0, 20.0, 30.0, 40.0])
    discount = np.full(4, 0.5)

    def found(followed, discount=discount):
        rows = [np.float32(x)[:, None] for x in (reward, value, discount, followed)]
        return replayed_return(*map(tf.constant, rows), 0.5).numpy()[:, 0]

    np.testing.assert_allclose(found([1, 1, 1, 0]), [9.875, 15.5, 24, 40])
    # Row 1 is the last of its episode: its value stands for what nobody saw.
    np.testing.assert_allclose(found([1, 0, 1, 0]), [11, 20, 24, 40])
    # Row 1 is terminal: nothing comes after its reward.
    np.testing.assert_allclose(found([1, 1, 1, 0], [0.5, 0, 0.5, 0.5]), [6.5, 2, 24, 40])


@given(st.integers(0, 2**32 - 1), st.floats(0, 1))
def test_returns_along_whole_rows_are_lambda_returns(seed, lambda_):
    reward, value, discount = np.random.default_rng(seed).random((3, 6, 2)).astype(np.float32)
    plain = lambda_return(
        *map(tf.constant, (reward[:-1], value[:-1], discount[:-1])), value[-1], lambda_
    )
    followed = tf.ones([6, 2])
    along = replayed_return(*map(tf.constant, (reward, value, discount)), followed, lambda_)
    np.testing.assert_allclose(along[:-1], plain, rtol=1e-5)
    np.testing.assert_array_equal(along[-1], value[-1])


def test_the_critic_learns_from_recorded_ends():
    """Rows before an end that the world model does not foresee lose their value all the same."""
    batch = make_batch()
    batch['is_first'][:], batch['reward'][:] = False, 0
    batch['is_terminal'][:], batch['is_terminal'][:, -1] = False, True
    values = {}
    for weight in (0.0, 10.0):
        agent = make_agent(
            critic_replay=weight,
            discount_lambda=1.0,
            critic_opt={'lr': 1e-2},
            model_opt={'lr': 0.0},
        )
        for name in ('critic/out/bias', 'slow_critic/out/bias'):
            agent.parameters()[name].assign([5.0])
        agent.parameters()['discount/out/bias'].assign([10.0])  # No end is foreseen.
        for _ in range(20):
            _, metrics = agent.train(batch)
        values[weight] = float(metrics['critic'])
        assert ('critic_replayed' in metrics) == bool(weight)
    assert values[10.0] < 0.8 * values[0.0]


def test_padding_and_other_episodes_end_the_recorded_returns():
    agent = make_agent(critic_replay=1.0, discount_lambda=0.5, discount=0.5)
    features = tf.zeros([1, 4, agent.world_model.rssm.feature_size])
    target = tf.constant([[10.0, 20.0, 30.0, 40.0]])

    def mean_return(mask, is_first):
        replayed = {
            'reward': tf.constant([[1.0, 2.0, 4.0, 8.0]]),
            'is_terminal': tf.zeros([1, 4], bool),
            'is_first': tf.constant([is_first]),
        }
        rows = tf.constant([mask])
        loss, metrics = agent.actor_critic.replayed_critic_loss(features, target, replayed, rows)
        assert np.isfinite(loss)
        return float(metrics['critic_replayed_target'])

    whole = mean_return([1.0] * 4, [True, False, False, False])
    np.testing.assert_allclose(whole, np.mean([9.875, 15.5, 24, 40]), rtol=1e-6)
    padded = mean_return([1.0, 1.0, 0.0, 0.0], [True, False, False, False])
    np.testing.assert_allclose(padded, np.mean([11, 20]), rtol=1e-6)
    joined = mean_return([1.0] * 4, [True, False, True, False])
    np.testing.assert_allclose(joined, np.mean([11, 20, 24, 40]), rtol=1e-6)


def test_advantages_are_divided_by_the_range():
    agent = make_agent(actor_ent=0.0)
    sequence, target, mask, _ = imagined(agent, make_batch())
    step = tf.constant(0, tf.int64)
    whole, _ = agent.actor_critic.actor_loss(sequence, target, mask, step)
    scale = tf.fill([target.shape[1]], 4.0)
    quarter, _ = agent.actor_critic.actor_loss(sequence, target, mask, step, scale)
    np.testing.assert_allclose(quarter, whole / 4, rtol=1e-5)


def test_adaptive_clipping_by_hand():
    parameter = tf.constant([3.0, 4.0])  # Norm 5: at most 1.5.
    np.testing.assert_allclose(
        adaptively_clipped(tf.constant([30.0, 40.0]), parameter, 0.3), [0.9, 1.2], rtol=1e-6
    )
    small = tf.constant([0.3, 0.4])
    np.testing.assert_allclose(adaptively_clipped(small, parameter, 0.3), small)
    found = adaptively_clipped(tf.constant([1.0]), tf.constant([0.0]), 0.3)
    np.testing.assert_allclose(found, [3e-4], rtol=1e-5)


def test_the_learning_rate_rises_linearly():
    parameter = tf.Variable([0.0])
    optimizer = Optimizer({'x': parameter}, opt='sgd', lr=1.0, clip=0, warmup=4)
    values = []
    for _ in range(6):
        with tf.GradientTape() as tape:
            loss = -parameter[0]
        optimizer.apply(optimizer.gradients(tape, loss), 'x')
        values.append(parameter.numpy()[0])
    np.testing.assert_allclose(np.diff([0, *values]), [0.25, 0.5, 0.75, 1, 1, 1], rtol=1e-6)


def test_learning_rates_follow_schedules_of_agent_steps():
    rates = {'model_opt': {'lr': 'linear(1e-3,1e-4,100)'}, 'critic_opt': {'lr': 'exp(1,0,50)'}}
    agent = make_agent(**rates, jit=False)
    state = None
    for step, model, critic in ((0, 1e-3, 1), (50, 5.5e-4, 0.5), (300, 1e-4, 1 / 64)):
        state, metrics = agent.train(make_batch(), state, step)
        np.testing.assert_allclose(metrics['model_lr'], model, rtol=1e-5)
        np.testing.assert_allclose(metrics['critic_lr'], critic, rtol=1e-5)
    assert 'actor_lr' not in metrics


def test_a_scheduled_learning_rate_is_the_one_applied():
    parameter = tf.Variable([0.0])
    optimizer = Optimizer(
        {'x': parameter}, opt='sgd', lr=lambda step: 1 - tf.cast(step, tf.float32) / 4, clip=0
    )
    for step, expected in ((0, 1.0), (2, 1.5), (4, 1.5)):
        with tf.GradientTape() as tape:
            loss = -parameter[0]
        optimizer.apply(optimizer.gradients(tape, loss), 'x', step=step)
        np.testing.assert_allclose(parameter, [expected])


def test_the_kl_of_the_newer_dreamer():
    """Free nats of each row, 1.0 for the dynamics and 0.1 for the representation."""
    rng = np.random.default_rng(0)
    logits = [tf.constant(rng.normal(size=[2, 6, 3, 4]) * 0.8, tf.float32) for _ in range(2)]
    posterior, prior = ({'logit': x} for x in logits)
    mask = tf.ones([2, 6])
    settings = {'free': 1.0, 'free_avg': False, 'balance': 0.909, 'forward': False}
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(logits)
        loss = 1.1 * kl_loss(posterior, prior, mask, **settings)[0]
        rows = tf.maximum(categorical_kl(*logits), 1.0)
        both = tf.reduce_mean(rows)
    divergence = categorical_kl(*logits).numpy()
    assert 0.1 < np.mean(divergence > 1) < 0.9
    np.testing.assert_allclose(loss, 1.1 * both, rtol=1e-5)
    for x, weight in zip(logits, (0.1, 1.0), strict=True):
        expected = weight * tape.gradient(both, x).numpy()
        np.testing.assert_allclose(tape.gradient(loss, x), expected, rtol=2e-3, atol=1e-7)


def test_the_loss_of_images_has_a_scale():
    totals = []
    for scale in (1.0, 3.0):
        agent = make_agent(loss_scales={'image': scale})
        data, state = agent.to_device(make_batch()), agent.world_model.rssm.initial(3)
        total, _, metrics = agent.world_model.loss(data, state, None)
        totals.append((total.numpy(), metrics['image_loss'].numpy()))
    (plain, image), (scaled, same) = totals
    assert image == same
    np.testing.assert_allclose(scaled - plain, 2 * image, rtol=1e-4)


def trained(agent, updates=3):
    state = None
    for seed in range(updates):
        state, metrics = agent.train(make_batch(seed=seed), state)
    return agent.get_state(), {key: np.asarray(value) for key, value in metrics.items()}


def test_switched_off_they_change_nothing():
    plain, _ = trained(make_agent(jit=False))
    off, _ = trained(make_agent(**OFF, jit=False))
    assert plain.keys() == off.keys()
    for key, value in plain.items():
        np.testing.assert_array_equal(value, off[key], err_msg=key)


@pytest.mark.parametrize('discrete', [True, pytest.param(False, marks=pytest.mark.slow)])
def test_an_agent_with_every_option_learns_and_goes_on_from_its_state(discrete):
    options = {**EVERY_OPTION, 'jit': False}
    if not discrete:
        options = {**options, 'encoder': {'symlog': True}, 'decoder': {'symlog': True}}
    kinds = {'discrete': discrete, 'image': discrete}
    one, other = (make_agent(discrete=discrete, image=discrete, **options) for _ in range(2))
    batches = [make_batch(seed=seed, **kinds) for seed in range(4)]
    for batch in batches[:2]:
        one.train(batch)
    middle = one.get_state()
    assert middle['return_norm/range'] > 0
    other.set_state(middle)
    for batch in batches[2:]:
        metrics = [agent.train(batch)[1] for agent in (one, other)]
    for key, value in one.get_state().items():
        np.testing.assert_array_equal(value, other.get_state()[key], err_msg=key)
    assert np.isfinite(metrics[0]['model_loss']) and metrics[0]['skipped_updates'] == 0


def test_levels_have_ranges_of_their_own_in_an_update():
    scope = {'scope': 'level', 'rate': 0.01, 'low': 0.05, 'high': 0.95, 'least': 1e-6}
    agent = make_agent(return_norm=scope, levels=['a', 'b', 'c'], jit=False)
    batch = make_batch()
    batch['level'][:] = [[0] * 8, [2] * 8, [2] * 8]
    agent.train(batch)
    ranges = agent.get_state()['return_norm/range']
    assert ranges[0] > 0 and ranges[1] == 0 and ranges[2] > 0 and ranges[0] != ranges[2]
