"""Flags and files: what is taken, and what is refused in one line."""

import math
import sys
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dreamerv2.config import load_config
from dreamerv2.config.files import default_file, read_presets
from dreamerv2.config.kinds import parse_schedule
from dreamerv2.config.schema import SCHEMA
from dreamerv2.errors import UsageError
from tests.faults.fuzz_configuration import timed

PRESETS = tuple(read_presets(default_file()))


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
        (['--crafter_size', '4'], ['crafter_size is not supported']),
        (['--configs', 'mairo'], ["'mairo'", 'did you mean mario?', 'mario_small']),
        (['--configs'], ['--configs', 'preset']),
        (['--configs', 'dmc_vision'], ['DeepMind Control is not supported', 'control']),
        (['--configs', 'dmc_proprio'], ['called control']),
        (['--task', 'dmc_walker_walk'], ['dmc_walker_walk', 'not supported', 'gym_Pendulum-v1']),
        (['--task', 'crafter_reward'], ['crafter_reward', 'not supported']),
        (['--expl_behavior', 'Plan2Explore'], ['Plan2Explore', 'greedy', 'not supported']),
        (['--init.freeze', 'encoder/.*'], ['init.freeze', 'add --init.from LOGDIR']),
        (['--prefill_policy', 'init'], ['prefill_policy', 'add --init.from LOGDIR']),
        (['mario'], ["'mario'", '--key value']),
        (['--', '1'], ['without a key']),
        (['--seed', '1', '--seed', '2'], ['--seed is given 2 times']),
        (['--pred_discount', 'False'], ['grad_heads', '--grad_heads decoder reward']),
        (
            ['--replay.minlen', '50', '--replay.maxlen', '10'],
            ['replay.minlen 50', 'replay.maxlen 10'],
        ),
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
def test_mistakes_on_the_command_line_get_one_line(error_of, argv, parts):
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
def test_mistakes_in_a_file_are_named_with_their_line(presets, error_of, text, line, parts):
    path, first = presets(text)
    message = error_of(['--configs', 'bad'], file=path)
    assert f'{path} line {first + line}' in message
    assert all(part in message for part in parts), message


def test_files_that_are_no_presets(error_of, tmp_path):
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


def test_nested_aliases_do_not_fill_the_memory(presets, error_of):
    bomb = ['bad:', '  a0: &a0 {x: 1}']
    bomb += [f'  a{i}: &a{i} {{x: *a{i - 1}, y: *a{i - 1}}}' for i in range(1, 30)]
    started = time.process_time()
    path, _ = presets('\n'.join(bomb) + '\n')
    assert 'aliases' in error_of(['--configs', 'bad'], file=path)
    path, _ = presets('bad: &bad\n  seed: 1\n  rssm: *bad\n')
    assert 'nested too deeply' in error_of(['--configs', 'bad'], file=path)
    assert time.process_time() - started < 2


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
    done, seconds = timed([sys.executable, '-c', program])
    assert seconds < 2
    if argv == ['--help']:
        assert (done.returncode, done.stderr) == (0, b'') and b'usage:' in done.stdout
    else:
        assert done.returncode == 2 and len(done.stderr.splitlines()) == 1 and not done.stdout
