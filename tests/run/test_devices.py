"""Choice of precision, quiet start-up, compiled programs."""

import os
import subprocess
import sys

import pytest

from dreamerv2.cores import usable_cores
from dreamerv2.run import devices

AMX = 'processor : 0\nflags\t\t: fpu avx2 amx_bf16 amx_tile\n'
OLD = 'processor : 0\nflags\t\t: fpu sse2 avx2\n'


@pytest.mark.parametrize(
    'wanted, capability, cpuinfo, expected',
    [
        ('auto', (7, 5), OLD, 'float16'),
        ('auto', (8, 0), OLD, 'bfloat16'),
        ('auto', (9, 0), AMX, 'bfloat16'),
        ('auto', None, AMX, 'bfloat16'),
        ('auto', None, 'flags : avx512_bf16', 'bfloat16'),
        ('auto', None, OLD, 'float32'),
        ('auto', None, '', 'float32'),
        ('float32', (9, 0), AMX, 'float32'),
        ('float16', None, OLD, 'float16'),
    ],
)
def test_precision(tmp_path, wanted, capability, cpuinfo, expected):
    (tmp_path / 'cpuinfo').write_text(cpuinfo)
    flags = devices.cpu_flags(tmp_path / 'cpuinfo')
    chosen = devices.choose_precision(wanted, capability=capability, flags=flags)
    assert chosen == expected


NATIVE = """
import os, sys
from dreamerv2.quiet import separate_stderr
from dreamerv2.run import devices
from dreamerv2.errors import UsageError
separate_stderr()
os.write(2, b'native before\\n')
try:
    with devices.hidden_native_stderr():
        os.write(2, b'native hidden\\n')
        print('own words', file=sys.stderr)
        {inside}
except Exception as error:
    print('caught', file=sys.stderr)
os.write(2, b'native after\\n')
"""


def test_only_native_words_are_hidden(repo_env):
    result = repo_env(['-c', NATIVE.format(inside='pass')])
    assert result.stderr.splitlines() == ['native before', 'own words', 'native after']


def test_native_words_are_shown_with_an_error_but_not_with_a_users_mistake(repo_env):
    result = repo_env(['-c', NATIVE.format(inside='raise RuntimeError')])
    assert 'native hidden' in result.stderr and 'caught' in result.stderr
    result = repo_env(['-c', NATIVE.format(inside='raise UsageError')])
    assert 'native hidden' not in result.stderr and 'caught' in result.stderr


def test_nothing_of_the_run_imports_tensorflow(repo_env):
    code = (
        'import sys, dreamerv2.train, dreamerv2.evaluate, dreamerv2.api, dreamerv2.run.training\n'
        "print('tensorflow' in sys.modules)"
    )
    result = repo_env(['-c', code])
    assert (result.stdout, result.stderr) == ('False\n', '')


def test_tensorflow_starts_without_keras_which_is_there_when_it_is_used(repo_env):
    code = (
        'import sys\n'
        'from dreamerv2.quiet import prepare_tensorflow\n'
        'prepare_tensorflow()\n'
        'import dreamerv2.agent, tensorflow as tf\n'
        "print(*[name in sys.modules for name in ('keras', 'tf_keras', 'matplotlib')])\n"
        'print(float(tf.keras.losses.MeanSquaredError()([1.0], [3.0])))\n'
    )
    assert repo_env(['-c', code]).stdout.split() == ['False', 'False', 'False', '4.0']


def test_compiled_programs_are_kept_in_the_users_cache(tmp_path, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    monkeypatch.setenv('TF_XLA_FLAGS', '--tf_xla_auto_jit=0')
    folder = devices.xla_cache()
    assert folder.is_relative_to(tmp_path) and 'tensorflow-2' in folder.name
    devices.reuse_xla_programs(folder)
    assert folder.is_dir()
    flags = os.environ['TF_XLA_FLAGS'].split()
    assert flags[:2] == [
        '--tf_xla_auto_jit=0',
        f'--tf_xla_persistent_cache_directory={folder}',
    ]
    devices.reuse_xla_programs(tmp_path / 'other')
    assert os.environ['TF_XLA_FLAGS'].split() == flags


def test_without_a_place_for_compiled_programs_nothing_is_set(tmp_path, monkeypatch):
    monkeypatch.setenv('TF_XLA_FLAGS', '')
    (tmp_path / 'file').write_text('')
    devices.reuse_xla_programs(tmp_path / 'file' / 'folder')
    assert os.environ['TF_XLA_FLAGS'] == ''


XLA_SCRIPT = """
import sys, time
from pathlib import Path
from dreamerv2.run import devices
devices.reuse_xla_programs(Path(sys.argv[1]))
devices.prepare_tensorflow()
import tensorflow as tf
double = tf.function(lambda x: tf.tanh(x @ x), jit_compile=True)
print(float(tf.reduce_sum(double(tf.ones([4, 4])))))
"""


@pytest.mark.slow
def test_a_later_process_takes_the_compiled_programs(tmp_path, python_env):
    times = []
    for _ in range(2):
        command = [sys.executable, '-c', XLA_SCRIPT, str(tmp_path)]
        result = subprocess.run(command, env=python_env, capture_output=True, text=True, check=True)
        assert result.stdout.strip().startswith('15.9')
        times.append({path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()})
    assert len(times[0]) == 1
    assert times[0] == times[1]


CONFIGURED = """
import sys
from dreamerv2.run import devices
deterministic = 'deterministic' in sys.argv
device = devices.configure(
    'float32', device='cpu', deterministic=deterministic, say=lambda line: None
)
import tensorflow as tf
from tensorflow.python.framework import config
print(tf.config.threading.get_intra_op_parallelism_threads())
print(tf.config.threading.get_inter_op_parallelism_threads())
print(device.branches)
print(int(config.is_op_determinism_enabled()))
"""


@pytest.mark.parametrize(('cores', 'expected'), [(1, (1, 1, 1)), (2, (2, 1, 2)), (16, (2, 8, 16))])
def test_branches_come_before_threads_within_an_operation(cores, expected):
    assert devices.share_cores(cores) == expected


@pytest.mark.skipif(not hasattr(os, 'sched_setaffinity'), reason='no such thing here')
def test_only_cores_that_are_allowed_count(python_env):
    one = f'os.sched_setaffinity(0, [{min(os.sched_getaffinity(0))}])'
    command = [sys.executable, '-c', f'import os; {one}\n{CONFIGURED}']
    result = subprocess.run(command, env=python_env, capture_output=True, text=True, check=True)
    assert [int(line) for line in result.stdout.split()] == [1, 1, 1, 0]


@pytest.mark.parametrize('own', ['', '3'])
def test_threads_and_deterministic_operations_are_as_the_user_chose(python_env, own):
    names = 'TF_NUM_INTRAOP_THREADS', 'TF_NUM_INTEROP_THREADS'
    env = {**python_env, **dict.fromkeys(names, own)} if own else python_env
    command = [sys.executable, '-c', CONFIGURED, *(['deterministic'] if own else [])]
    result = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    branches, *threads = devices.share_cores(usable_cores())
    expected = [*([0, 0] if own else threads), branches, int(bool(own))]
    assert [int(line) for line in result.stdout.split()] == expected
