"""Presets, flags, validation, help and saving of the configuration."""

import copy
import math
import pathlib
import pickle
import resource
import subprocess
import sys
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dreamerv2.config import Config, Section, load_config
from dreamerv2.config.files import default_file, descriptions, read_presets
from dreamerv2.config.schedules import parse_schedule
from dreamerv2.config.schema import SCHEMA
from dreamerv2.envs.tasks import SETS
from dreamerv2.errors import UsageError

ROOT = pathlib.Path(__file__).resolve().parent.parent
PRESETS = ('defaults', 'atari', 'control', 'mario', 'mario_small', 'debug')

# The keys of DreamerV2 with its defaults; the four that differ here are tested by themselves.
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
    'capacity': 200_000,
    'ongoing': False,
    'minlen': 50,
    'maxlen': 50,
    'prioritize_ends': True,
}


def flat(tree, prefix=''):
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from flat(value, f'{prefix}{name}.')
        else:
            yield prefix + name, value


def error_of(argv, **options):
    """The message with which a command line is refused: one line."""
    with pytest.raises(UsageError) as caught:
        load_config(argv, **options)
    message = str(caught.value)
    assert len(message.splitlines()) == 1 and message.isprintable()
    return message


@pytest.fixture
def presets(tmp_path):
    """Writes a file with the package's presets and those of a text; gives path and first line."""

    def write(text):
        path = tmp_path / 'configs.yaml'
        shipped = default_file().read_text()
        path.write_text(f'{shipped}\n{text}')
        return path, shipped.count('\n') + 2

    return write


def test_defaults_are_those_of_the_original():
    config = load_config([]).to_dict()
    assert {key: config[key] for key in ORIGINAL} == ORIGINAL
    assert {key: config['replay'][key] for key in ORIGINAL_REPLAY} == ORIGINAL_REPLAY


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
    assert load_config(['--configs', 'atari']).time_limit == 27000


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


def test_named_sets_are_those_of_the_environments():
    assert dict(load_config([]).sets.items()) == SETS


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


@pytest.mark.parametrize(
    ('argv', 'key', 'value'),
    [
        (['--steps', '1e6'], 'steps', 1_000_000),
        (['--steps=2.5e6'], 'steps', 2_500_000),
        (['--dmc_camera', '-1'], 'dmc_camera', -1),
        (['--discount', '1'], 'discount', 1.0),
        (['--jit', 'False'], 'jit', False),
        (['--jit', 'true'], 'jit', True),
        (['--dry_run'], 'dry_run', True),
        (['--encoder.mlp_layers', '40', '30', '20'], 'encoder.mlp_layers', (40, 30, 20)),
        (['--encoder.mlp_layers', '40,30'], 'encoder.mlp_layers', (40, 30)),
        (['--encoder.mlp_layers', '40'], 'encoder.mlp_layers', (40,)),
        (['--level_weights', '1', '0.5'], 'level_weights', (1.0, 0.5)),
        (['--level_weights='], 'level_weights', ()),
        (['--log_keys_sum', '^1e3=$'], 'log_keys_sum', '^1e3=$'),
        (['--precision', '32'], 'precision', 'float32'),
        (['--precision', 'bfloat16'], 'precision', 'bfloat16'),
        (['--rssm.discrete', 'False'], 'rssm.discrete', 0),
        (['--actor_ent', '0.5'], 'actor_ent', 0.5),
        (['--actor_ent', 'linear(1,0.1,1e6)'], 'actor_ent', 'linear(1,0.1,1e6)'),
        (['--actor_grad_mix', 'exp(0.9, 0.1, 100)'], 'actor_grad_mix', 'exp(0.9, 0.1, 100)'),
        (['--sets.mine', '1-1', '2-1'], 'sets.mine', ('1-1', '2-1')),
    ],
)
def test_flags(argv, key, value):
    found = load_config(argv)[key]
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize(
    ('argv', 'parts'),
    [
        (['--dataset.batch', 'x'], ['--dataset.batch', "'x'", 'whole number', '16']),
        (['--dataset.batch'], ['--dataset.batch', 'no value', 'whole number']),
        (['--envs', '-1'], ['--envs', "'-1'", 'from 1']),
        (['--envs', '1.5'], ['--envs', "'1.5'", 'whole number']),
        (['--seed', '1', '2'], ['--seed', 'whole number']),
        (['--seed', 'True'], ['--seed', 'whole number']),
        (['--steps', '1e300'], ['--steps', 'whole number']),
        (['--steps', 'inf'], ['--steps', 'whole number']),
        (['--discount', 'NaN'], ['--discount', "'NaN'", 'from 0 to 1', '0.99']),
        (['--model_opt.lr', '-1e-4'], ['--model_opt.lr', 'at least 0']),
        (['--model_opt.eps', '0'], ['--model_opt.eps', 'above 0']),
        (['--jit', 'maybe'], ['--jit', 'True or False']),
        (['--precision', '17'], ['--precision', 'float32', 'bfloat16']),
        (['--replay.past_end', 'al'], ['--replay.past_end', 'short, all or off']),
        (['--encoder.mlp_layers', '1', 'x'], ['--encoder.mlp_layers', 'each a whole number']),
        (['--render_size', '64'], ['--render_size', '2 whole numbers']),
        (['--log_keys_sum', '('], ['--log_keys_sum', 'regular expression']),
        (['--task='], ['--task', 'a task']),
        (['--task', 'a\nb'], ['--task', 'a task']),
        (['--a\nb\x85', '1'], ['--a\\nb\\x85']),
        (['--seed', '\u2028'], ['--seed', 'whole number']),
        (['--actor_ent', 'linear(1,2)'], ['--actor_ent', 'linear(initial,final,duration)']),
        (['--actor_ent', 'nan'], ['--actor_ent']),
        (['--actor_grad_mix', 'linear(0,2,10)'], ['--actor_grad_mix', 'from 0 to 1']),
        (['--rssm.detre', '4'], ["'rssm.detre'", 'did you mean rssm.deter?']),
        (['--deter', '4'], ["'deter'", 'did you mean rssm.deter?']),
        (['--zzzz', '4'], ["'zzzz'", '--help']),
        (['--rssm', '4'], ['rssm is a group', 'rssm.ensemble']),
        (['--sets', '4'], ['sets is a group']),
        (['--sets.a.b', '4'], ['sets.a.b']),
        (['--x.*y', '4'], ["'x.*y'", 'matches no key']),
        (['--(', '4'], ["'('", 'regular expression']),
        (['--crafter_size', '4'], ['crafter_size is not built']),
        (['--configs', 'mairo'], ["'mairo'", 'did you mean mario?', 'mario_small']),
        (['--configs'], ['--configs', 'preset']),
        (['--configs', 'dmc_vision'], ['DeepMind Control is not built', 'control']),
        (['--configs', 'dmc_proprio'], ['called control']),
        (['--task', 'dmc_walker_walk'], ['dmc_walker_walk', 'not built', 'gym_Pendulum-v1']),
        (['--task', 'crafter_reward'], ['crafter_reward', 'not built']),
        (['--expl_behavior', 'Plan2Explore'], ['Plan2Explore', 'greedy', 'not built']),
        (['--init.from', 'logdir'], ['--init.from', 'not built yet']),
        (['mario'], ["'mario'", '--key value']),
        (['--', '1'], ['without a key']),
        (['--seed', '1', '--seed', '2'], ['--seed is given 2 times']),
        (['--pred_discount', 'False'], ['grad_heads', '--grad_heads decoder reward']),
        (['--replay.maxlen', '10'], ['replay.minlen 50', 'replay.maxlen 10']),
        (['--replay.capacity', '10'], ['replay.capacity 10', 'dataset.length 50']),
        (['--level_weights', '0', '0'], ['level_weights', 'weight']),
        (['--render_size', '84', '84'], ['64x64', '84 84']),
        (['--encoder.cnn_kernels', '4', '4', '4', '9'], ['encoder.cnn_kernels', 'too large']),
        (['--logdir', '/dev/null'], ['/dev/null is a file', 'folder']),
        (['--logdir', '/dev/null/run'], ['/dev/null is a file', 'folder']),
        (['--logdir', 'a/{tsak}'], ['{tsak}', '{task}']),
        (['--logdir', 'a' * 300], ['--logdir', 'too long']),
    ],
)
def test_mistakes_on_the_command_line_get_one_line(argv, parts):
    message = error_of(argv)
    assert all(part in message for part in parts), message


@pytest.mark.parametrize(
    ('text', 'line', 'parts'),
    [
        ('bad:\n  seed: 1\n  rssm:\n    detre: 4\n', 3, ["'rssm.detre'", 'mean rssm.deter?']),
        ('bad:\n  seed: 1\n  dataset.batch: x\n', 2, ['dataset.batch', "'x'", 'whole number']),
        ('bad:\n  seed: 1.5\n', 1, ['seed', '1.5', 'whole number']),
        ('bad:\n  discount: .nan\n', 1, ['discount', '.nan', 'from 0 to 1']),
        ('bad:\n  discount: -.inf\n', 1, ['discount', 'from 0 to 1']),
        ('bad:\n  seed:\n', 1, ['seed', 'None', 'whole number']),
        ('bad:\n  jit: 1\n', 1, ['jit', 'True or False']),
        ('bad:\n  task: 5\n', 1, ['task', 'a task']),
        ('bad:\n  rssm: 5\n', 1, ['rssm is a group']),
        ('bad:\n  seed: {a: 1}\n', 1, ["'seed.a'"]),
        ('bad:\n  envs: [1, 2]\n', 1, ['envs', '[1, 2]']),
        ('bad:\n  render_size: [[1], 2]\n', 1, ['a list may hold plain values only']),
        ('bad:\n  seed: 1\n  seed: 2\n', 2, ["'seed'", 'too']),
        ('bad:\n  seed: !!python/name:os.system x\n', 1, ['tag', 'not allowed']),
        ('bad:\n  rssm: !!python/object:os.x {a: 1}\n', 1, ['tag', 'not allowed']),
        ('bad: 3\n', 0, ['preset bad']),
        ('bad:\n  ? [1, 2]\n  : 3\n', 1, ['a key must be plain text']),
    ],
)
def test_mistakes_in_a_file_are_named_with_their_line(presets, text, line, parts):
    path, first = presets(text)
    message = error_of(['--configs', 'bad'], file=path)
    assert f'{path} line {first + line}' in message
    assert all(part in message for part in parts), message


def test_files_that_are_no_presets(tmp_path):
    path = tmp_path / 'file.yaml'
    assert f'{path}: cannot be read' in error_of([], file=path)
    path.write_bytes(b'\xff\xfe\x00')
    assert 'UTF-8' in error_of([], file=path)
    path.write_text('- 1\n- 2\n')
    assert 'expected keys and values' in error_of([], file=path)
    path.write_text('a: [1\nb: 2\n')
    assert 'line 2' in error_of([], file=path) and 'not valid YAML' in error_of([], file=path)
    path.write_text('other: {seed: 1}\n')
    assert 'no preset called defaults' in error_of([], file=path)
    path.write_text('defaults: {seed: 1}\n')
    assert 'defaults lack the key logdir' in error_of([], file=path)
    path.write_text('a: ' + '{a: ' * 1000)
    assert str(path) in error_of([], file=path)
    path.write_text('x' * 200_000)
    assert 'larger than' in error_of([], file=path)


def test_nested_aliases_do_not_fill_the_memory(presets):
    bomb = ['bad:', '  a0: &a0 {x: 1}']
    bomb += [f'  a{i}: &a{i} {{x: *a{i - 1}, y: *a{i - 1}}}' for i in range(1, 30)]
    started = time.process_time()
    path, _ = presets('\n'.join(bomb) + '\n')
    assert 'aliases' in error_of(['--configs', 'bad'], file=path)
    path, _ = presets('bad: &bad\n  seed: 1\n  rssm: *bad\n')
    assert 'nested too deeply' in error_of(['--configs', 'bad'], file=path)
    assert time.process_time() - started < 2


@pytest.mark.parametrize(
    ('argv', 'words'),
    [
        (['--slow_baseline', 'False'], 'slow_baseline does nothing'),
        (['--dmc_camera', '2'], 'DeepMind Control is not built'),
        (['--expl_until', '100'], 'expl_until does nothing'),
        (['--disag_models', '3', '--expl_head.units', '8'], 'expl_head.units, disag_models do no'),
        (['--envs_parallel', 'process'], 'not built yet'),
        (['--async_collect', 'True'], 'not built yet'),
    ],
)
def test_settings_without_effect_say_so_in_one_line(argv, words):
    notes = load_config(argv).notes
    assert len(notes) == 1 and words in notes[0] and '\n' not in notes[0]
    assert Config(load_config(argv).flat).notes == ()
    assert load_config([]).update({argv[0][2:]: argv[1]}).notes


def test_attribute_and_item_access():
    config = load_config(['--configs', 'mario'])
    assert config.rssm.deter == config['rssm.deter'] == config['rssm']['deter'] == 600
    assert isinstance(config.rssm, Section) and dict(config.kl)['balance'] == 0.8
    assert config['init.from'] == config.init['from'] == ''
    assert 'rssm.deter' in config and 'rssm.nothing' not in config and 'seed.x' not in config
    assert config.get('nothing') is None
    with pytest.raises(AttributeError, match='no key nothing'):
        config.nothing  # noqa: B018
    with pytest.raises(KeyError):
        config['rssm.nothing']


def test_it_is_frozen():
    config = load_config([])
    with pytest.raises(AttributeError, match='frozen'):
        config.seed = 3
    with pytest.raises(AttributeError, match='frozen'):
        config.rssm.deter = 3
    with pytest.raises(AttributeError, match='frozen'):
        del config.seed
    with pytest.raises(TypeError):
        config['seed'] = 3
    config.to_dict()['rssm']['deter'] = 3
    config.flat['seed'] = 3
    assert config == load_config([])


def test_update_validates_and_leaves_the_old_one_alone():
    config = load_config(['--configs', 'mario'])
    new = config.update({'rssm.deter': 8, 'dataset': {'batch': 2}, '.*\\.wd': 0, 'steps': 1e3})
    assert (new.rssm.deter, new.dataset.batch, new.dataset.length) == (8, 2, 50)
    assert new.actor_opt.wd == 0 and new.steps == 1000 and isinstance(new, Config)
    assert config.rssm.deter == 600 and config.dataset.batch == 16
    for bad in ({'sede': 1}, {'envs': -1}, {'discount': math.nan}, {'pred_discount': False}):
        with pytest.raises(UsageError):
            config.update(bad)


def test_the_logdir_follows_task_and_seed(monkeypatch, tmp_path):
    monkeypatch.setenv('HOME', str(tmp_path))
    config = load_config(['--task', 'mario_3-1', '--seed', '4'])
    assert config.logdir == f'{tmp_path}/logdir/mario_3-1/4'
    assert config.update({'seed': 5}).logdir == f'{tmp_path}/logdir/mario_3-1/5'
    assert config.update({'logdir': '~/{rssm.deter}'}).logdir == f'{tmp_path}/1024'
    assert pickle.loads(pickle.dumps(config)).update({'seed': 5}).logdir.endswith('/5')
    assert copy.deepcopy(config) == config


@pytest.mark.parametrize('preset', PRESETS)
def test_saving_is_exact(preset, tmp_path):
    config = load_config(['--configs', preset, '--seed', '3', '--sets.x', '1-1'])
    path = tmp_path / 'config.yaml'
    config.save(path)
    assert Config.load(path) == config and Config.load(path).flat == config.flat
    assert [child.name for child in tmp_path.iterdir()] == ['config.yaml']


@settings(max_examples=30, deadline=None)
@given(
    lr=st.floats(0, allow_nan=False, allow_infinity=False),
    scale=st.floats(allow_nan=False, allow_infinity=False),
    task=st.text(st.characters(blacklist_categories=['Cs', 'Cc', 'Zl', 'Zp']), min_size=1),
    seed=st.integers(0, 2**31 - 1),
)
def test_saving_any_value_is_exact(tmp_path_factory, lr, scale, task, seed):
    path = tmp_path_factory.mktemp('config') / 'config.yaml'
    try:
        config = load_config([]).update(
            {'model_opt.lr': lr, 'reward_norm.scale': scale, 'task': task, 'seed': seed}
        )
    except UsageError as error:
        assert 'not built' in str(error)
        return
    config.save(path)
    assert Config.load(path).flat == config.flat


def test_loading_fills_in_defaults_and_names_mistakes(tmp_path):
    path = tmp_path / 'config.yaml'
    path.write_text('seed: 7\nlogdir: somewhere\n')
    config = Config.load(path)
    assert (config.seed, config.logdir, config.steps) == (7, 'somewhere', 10**8)
    path.write_text('seed: 7\nenvs: 0\n')
    with pytest.raises(UsageError, match='line 2: envs is 0'):
        Config.load(path)
    with pytest.raises(UsageError, match='cannot be read'):
        Config.load(tmp_path / 'nothing.yaml')


def test_schedules():
    assert parse_schedule('linear(1, 0.1,1e6)').arguments == (1.0, 0.1, 1e6)
    assert parse_schedule(3).bounds == (3.0, 3.0)
    assert parse_schedule('warmup(100,-2)').bounds == (-2.0, 0.0)
    assert parse_schedule('exp(1,0.5,10)').bounds == (0.5, 1.0)
    assert parse_schedule('horizon(10,100,1e3)').bounds == (0.9, 0.99)
    bad = ['', 'x', 'linear', 'cosine(1,2,3)', 'exp(1,2,0)', 'exp(1,2,x)', 'horizon(0,1,1)']
    for text in [*bad, 'linear(1,2,3)x', 'linear(1,inf,3)', 'warmup(-1,1)', math.nan, True]:
        with pytest.raises(ValueError):
            parse_schedule(text)


def test_help_lists_presets_and_keys(capsys):
    for flag in ('--help', '-h'):
        with pytest.raises(SystemExit) as ended:
            load_config(['--configs', 'mario', flag])
        assert ended.value.code == 0
        text = capsys.readouterr().out
        assert all(f'--{key} ' in text for key in SCHEMA)
        assert all(f'\n  {preset} ' in text for preset in PRESETS)
        assert '--rssm.deter 1024' in text and '--steps 1e8' in text and '\n  etau ' in text


def test_every_key_is_explained_in_one_line():
    for name, key in SCHEMA.items():
        assert key.doc and '\n' not in key.doc and key.kind.expected, name


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.sampled_from([f'--{key}' for key in SCHEMA]),
            st.sampled_from(['--configs', *PRESETS, '--.*', '--(a', '--rssm', '1', '-1', '1e9']),
            st.text(max_size=8),
            st.text(max_size=8).map('--{}'.format),
            st.floats().map(str),
        ),
        max_size=6,
    )
)
def test_any_command_line_is_taken_or_refused_in_one_line(argv):
    try:
        config = load_config(argv)
    except UsageError as error:
        assert len(str(error).splitlines()) == 1
    except SystemExit as ended:
        assert ended.code == 0
    else:
        assert set(SCHEMA) <= set(config.flat)


@pytest.mark.parametrize('argv', [['--dataset.batch', 'x'], ['--configs', 'x'], ['--help']])
def test_the_answer_is_quick_and_without_tensorflow(argv):
    program = (
        'import sys\n'
        'from dreamerv2.config import load_config\n'
        'from dreamerv2.errors import UsageError\n'
        'try:\n'
        f'    load_config({argv})\n'
        'except UsageError as error:\n'
        '    print(error, file=sys.stderr)\n'
        '    sys.exit(2)\n'
        'finally:\n'
        '    heavy = {"tensorflow", "keras", "gym", "numpy"} & set(sys.modules)\n'
        '    assert not heavy, heavy\n'
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, '-c', program], capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 2
    if argv == ['--help']:
        assert (done.returncode, done.stderr) == (0, '') and 'usage:' in done.stdout
    else:
        assert done.returncode == 2 and len(done.stderr.splitlines()) == 1 and not done.stdout
