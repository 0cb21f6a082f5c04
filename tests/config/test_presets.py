"""The shipped presets, and how presets are laid over each other."""

import pytest

from dreamerv2.config import load_config
from dreamerv2.config.files import default_file, descriptions, read_presets
from dreamerv2.config.schema import SCHEMA

PRESETS = (
    'defaults', 'atari', 'control', 'mario', 'mario_small', 'mario_small_v2', 'mario_small_v1',
    'robust', 'debug',
)  # fmt: skip

# The keys of DreamerV2 with its defaults, but for logdir, task, precision and replay.
HEAD = {'layers': 4, 'units': 400, 'act': 'elu', 'norm': 'none', 'dist': 'mse'}
VISION = {'mlp_keys': '.*', 'cnn_keys': '.*', 'act': 'elu', 'norm': 'none', 'cnn_depth': 48}
NORM = {'momentum': 1.0, 'scale': 1.0, 'eps': 1e-8}
ADAM = {'opt': 'adam', 'eps': 1e-5, 'clip': 100, 'wd': 1e-6}
ORIGINAL = {
    'seed': 0,
    'envs': 1,
    'envs_parallel': 'none',
    'render_size': [64, 64],
    'dmc_camera': -1,
    'atari_grayscale': True,
    'time_limit': 0,
    'action_repeat': 1,
    'steps': 10**8,
    'log_every': 10**4,
    'eval_every': 10**5,
    'eval_eps': 1,
    'prefill': 10000,
    'pretrain': 1,
    'train_every': 5,
    'train_steps': 1,
    'expl_until': 0,
    'dataset': {'batch': 16, 'length': 50},
    'log_keys_video': ['image'],
    'log_keys_sum': '^$',
    'log_keys_mean': '^$',
    'log_keys_max': '^$',
    'jit': True,
    'clip_rewards': 'tanh',
    'expl_behavior': 'greedy',
    'expl_noise': 0.0,
    'eval_noise': 0.0,
    'eval_state_mean': False,
    'grad_heads': ['decoder', 'reward', 'discount'],
    'pred_discount': True,
    'rssm': {
        'ensemble': 1,
        'hidden': 1024,
        'deter': 1024,
        'stoch': 32,
        'discrete': 32,
        'act': 'elu',
        'norm': 'none',
        'std_act': 'sigmoid2',
        'min_std': 0.1,
    },
    'encoder': {**VISION, 'cnn_kernels': [4, 4, 4, 4], 'mlp_layers': [400, 400, 400, 400]},
    'decoder': {**VISION, 'cnn_kernels': [5, 5, 6, 6], 'mlp_layers': [400, 400, 400, 400]},
    'reward_head': HEAD,
    'discount_head': {**HEAD, 'dist': 'binary'},
    'loss_scales': {'kl': 1.0, 'reward': 1.0, 'discount': 1.0, 'proprio': 1.0},
    'kl': {'free': 0.0, 'forward': False, 'balance': 0.8, 'free_avg': True},
    'model_opt': {**ADAM, 'lr': 1e-4},
    'actor': {**HEAD, 'dist': 'auto', 'min_std': 0.1},
    'critic': HEAD,
    'actor_opt': {**ADAM, 'lr': 8e-5},
    'critic_opt': {**ADAM, 'lr': 2e-4},
    'discount': 0.99,
    'discount_lambda': 0.95,
    'imag_horizon': 15,
    'actor_grad': 'auto',
    'actor_grad_mix': 0.1,
    'actor_ent': 2e-3,
    'slow_target': True,
    'slow_target_update': 100,
    'slow_target_fraction': 1,
    'slow_baseline': True,
    'reward_norm': NORM,
    'expl_intr_scale': 1.0,
    'expl_extr_scale': 0.0,
    'expl_opt': {**ADAM, 'lr': 3e-4},
    'expl_head': HEAD,
    'expl_reward_norm': NORM,
    'disag_target': 'stoch',
    'disag_log': False,
    'disag_models': 10,
    'disag_offset': 1,
    'disag_action_cond': True,
    'expl_model_loss': 'kl',
}
ORIGINAL_REPLAY = {
    'capacity': 2_000_000,
    'ongoing': False,
    # 0 is the window's length, which the original's 50 is too.
    'minlen': 0,
    'maxlen': 0,
    'prioritize_ends': True,
}


def flat(tree, prefix=''):
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from flat(value, f'{prefix}{name}.')
        else:
            yield prefix + name, value


def test_defaults_are_those_of_the_original():
    config = dict(flat(load_config([]).to_dict()))
    original = dict(flat({**ORIGINAL, 'replay': ORIGINAL_REPLAY}))
    assert {key: config[key] for key in original} == original


@pytest.mark.parametrize('preset', ['defaults', 'atari', 'control', 'mario'])
def test_options_of_newer_dreamers_are_off(preset):
    config = load_config(['--configs', preset])
    assert config.loss_scales.image == 1 and config.return_norm.scope == 'none'
    assert config.bootstrap == 'slow' and config.slow_regularizer == 0
    assert config.rssm.unimix == config.actor.unimix == config.decoder.error_weight == 0
    assert not config.encoder.symlog and not config.decoder.symlog
    assert 'twohot' not in (config.reward_head.dist, config.critic.dist)
    for part in ('model', 'actor', 'critic'):
        assert config[f'{part}_opt'].agc == config[f'{part}_opt'].warmup == 0


def test_every_key_of_the_original_is_a_flag():
    argv = ['--logdir', 'somewhere', '--task', 'mario_1-1', '--precision', '16']
    for key, value in [*flat(ORIGINAL), *flat({'replay': ORIGINAL_REPLAY})]:
        argv += [f'--{key}', *(map(str, value) if isinstance(value, list) else [str(value)])]
    config = load_config(argv)
    changed = {'logdir', 'precision'}
    assert {k: v for k, v in config.flat.items() if k not in changed} == {
        k: v for k, v in load_config([]).flat.items() if k not in changed
    }
    assert config.precision == 'float16' and config.notes == ()


@pytest.mark.parametrize('preset', PRESETS)
def test_every_preset_is_valid_and_has_nothing_to_say(preset):
    config = load_config(['--configs', preset])
    assert config.notes == ()
    assert set(SCHEMA) <= set(config.flat)
    assert descriptions(default_file())[preset]


def test_presets_are_all_tested():
    assert tuple(read_presets(default_file())) == PRESETS


def test_atari_and_mario_hold_the_published_values():
    published = {
        'action_repeat': 4,
        'prefill': 50000,
        'train_every': 16,
        'rssm.hidden': 600,
        'rssm.deter': 600,
        'rssm.stoch': 32,
        'rssm.discrete': 32,
        'model_opt.lr': 2e-4,
        'actor_opt.lr': 4e-5,
        'critic_opt.lr': 1e-4,
        'model_opt.eps': 1e-5,
        'model_opt.clip': 100,
        'model_opt.wd': 1e-6,
        'actor_ent': 1e-3,
        'discount': 0.999,
        'discount_lambda': 0.95,
        'loss_scales.kl': 0.1,
        'loss_scales.discount': 5.0,
        'kl.balance': 0.8,
        'clip_rewards': 'tanh',
        'imag_horizon': 15,
        'slow_target_update': 100,
        'encoder.cnn_depth': 48,
        'encoder.cnn_keys': 'image',
        'decoder.mlp_keys': '$^',
    }
    for preset in ('atari', 'mario'):
        config = load_config(['--configs', preset])
        assert {key: config[key] for key in published} == published
    mario = load_config(['--configs', 'mario'])
    assert (mario.sticky, mario.steps, mario.time_limit) == (0.2, 2_500_000, 0)
    atari = load_config(['--configs', 'atari'])
    assert (atari.sticky, atari.steps, atari.time_limit) == (0.25, 50_000_000, 27000)
    assert (atari.eval_every, atari.log_every, atari.replay.capacity) == (250_000, 10_000, 2e6)
    assert (atari.dataset.batch, atari.dataset.length, atari.task) == (16, 50, 'atari_pong')


def test_control_holds_the_published_values():
    config = load_config(['--configs', 'control'])
    assert config.task == 'gym_Pendulum-v1' and not config.pred_discount
    assert config.grad_heads == ('decoder', 'reward') and config.kl.free == 1.0
    assert (config.rssm.hidden, config.rssm.deter) == (200, 200)
    rates = [config[f'{group}_opt.lr'] for group in ('model', 'actor', 'critic')]
    assert rates == [3e-4, 8e-5, 8e-5]
    assert (config.encoder.cnn_keys, config.encoder.mlp_keys) == ('$^', '.*')
    assert (config.pretrain, config.prefill, config.action_repeat) == (100, 1000, 2)


@pytest.mark.parametrize('preset', PRESETS)
def test_debug_shrinks_everything_whatever_comes_before(preset):
    config = load_config(['--configs', preset, 'debug'])
    assert config.steps * config.action_repeat <= 4000 and config.prefill < config.steps
    assert config.rssm.deter <= 32 and config.encoder.cnn_depth <= 4
    assert max(config.encoder.mlp_layers + config.decoder.mlp_layers) <= 32
    heads = ('reward_head', 'discount_head', 'actor', 'critic')
    assert all(config[f'{head}.units'] <= 32 and config[f'{head}.layers'] == 1 for head in heads)
    assert config.dataset.batch * config.dataset.length <= 40
    assert config.task == load_config(['--configs', preset]).task


def test_later_presets_and_flags_win(presets):
    path, _ = presets('one: {seed: 1, envs: 2, rssm: {deter: 8}}\ntwo: {seed: 2, rssm.stoch: 3}\n')
    config = load_config(['--configs', 'one', 'two', '--envs', '3'], file=path)
    assert (config.seed, config.envs) == (2, 3)
    assert (config.rssm.deter, config.rssm.stoch, config.rssm.hidden) == (8, 3, 1024)
    assert load_config(['--configs', 'two,one'], file=path).seed == 1
    assert load_config(['--configs', 'two'], presets=['one'], file=path).seed == 2
    assert load_config(['--envs', '3', '--configs', 'one'], file=path).envs == 3


def test_patterns_in_presets_and_flags(presets):
    path, _ = presets('all:\n  .*\\.wd$: 1e-3\n  .*\\.norm: layer\n')
    config = load_config(['--configs', 'all', '--.*_opt\\.clip', '5'], file=path)
    found = config.flat
    assert {v for k, v in found.items() if k.endswith('.wd')} == {1e-3}
    assert {v for k, v in found.items() if k.endswith('.norm')} == {'layer'}
    assert {v for k, v in found.items() if k.endswith('.clip')} == {5.0}
