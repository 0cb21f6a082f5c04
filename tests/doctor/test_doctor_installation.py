"""Installations in which one thing is missing or broken."""

import importlib.metadata
import io
import os
import pathlib
import platform
import sys

import pytest

from dreamerv2.doctor import installation, probes, requirements
from dreamerv2.doctor.probes import ProbeError
from dreamerv2.doctor.rows import FAILED, OK, WARNING
from dreamerv2.run.logdir import headroom

ROOT = pathlib.Path(__file__).resolve().parents[2]
SETUP = requirements.from_setup(ROOT / 'setup.py')
NO_GPU = {'version': '2.21.0', 'cuda': True, 'gpus': [], 'stderr': []}


def program(folder, name, text):
    """An executable script."""
    path = folder / name
    path.write_text(f'#!/bin/sh\n{text}\n')
    path.chmod(0o755)
    return path


def raising(message):
    def run(name):
        raise ProbeError(message)

    return run


def test_this_installation_is_as_setup_asks():
    rows = installation.check_requirements(ROOT)
    assert [row.status for row in rows] == [OK] * len(rows)
    assert rows[0].seen.startswith(f'{platform.python_version()} (>=3.10,<3.13)')
    assert f'numpy {importlib.metadata.version("numpy")}' in rows[1].seen
    assert f'{len(SETUP.packages)} of {len(SETUP.packages)}' in rows[1].seen


def test_setup_is_read_and_not_run(tmp_path):
    assert SETUP.python == '>=3.10,<3.13' and 'nes-py==8.2.1' in SETUP.packages
    assert SETUP.extras['atari'] == ['ale-py>=0.12,<0.13']
    (tmp_path / 'setup.py').write_text(
        'raise SystemExit("run")\n'
        "setup(name='dreamerv2-mario', python_requires='>=3', install_requires=['a>=1'],"
        'extras_require={})\n'
    )
    assert requirements.find(tmp_path) == requirements.Requirements('>=3', ['a>=1'], {})


def test_without_a_checkout_the_installed_package_says_it(monkeypatch, tmp_path):
    lines = ['numpy<2,>=1.26', 'ale-py<0.13,>=0.12; extra == "atari"', 'rliable (==1.2.0)']
    monkeypatch.setattr(importlib.metadata, 'requires', lambda name: lines)
    monkeypatch.setattr(importlib.metadata, 'metadata', lambda name: {'Requires-Python': '>=3.10'})
    found = requirements.find(tmp_path)
    assert found.python == '>=3.10' and found.extras == {'atari': ['ale-py<0.13,>=0.12']}
    assert found.packages == ['numpy<2,>=1.26', 'rliable==1.2.0']


def test_neither_checkout_nor_installed_package(monkeypatch, tmp_path):
    def missing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, 'requires', missing)
    (row,) = installation.check_requirements(tmp_path)
    assert row.status == FAILED and str(tmp_path / 'setup.py') in row.seen and 'pip' in row.hint


@pytest.mark.parametrize(
    'version, ranges, expected',
    [
        ('1.26.4', '>=1.26,<2', True),
        ('2.0.0', '>=1.26,<2', False),
        ('1.9', '>=1.26', False),
        ('1.26', '==1.26.0', True),
        ('4.11.0.86', '>=4.11,<4.12', True),
        ('2.21.0rc1', '<2.21', False),
        ('3.0', '', True),
        ('3.0', '!=3', False),
        ('1.5.1', '~=1.5.0', True),
        ('2.21.0+cpu', '>=2.21,<2.22', True),
    ],
)
def test_ranges(version, ranges, expected):
    assert requirements.within(version, ranges) == expected


@pytest.mark.parametrize('found', [None, '9.9.9'])
def test_a_missing_package_and_one_of_another_version(monkeypatch, found):
    version = importlib.metadata.version

    def look(name):
        if name == 'safetensors' and found is None:
            raise importlib.metadata.PackageNotFoundError(name)
        return found if name == 'gym' and found else version(name)

    monkeypatch.setattr(importlib.metadata, 'version', look)
    (row,) = [row for row in installation.check_requirements(ROOT) if row.status == FAILED]
    assert row.check == 'packages'
    if found:
        assert row.seen == 'gym is 9.9.9, but ==0.26.2 is needed' and "'gym==0.26.2'" in row.hint
    else:
        assert row.seen == 'safetensors is not installed' and "'safetensors>=0.4'" in row.hint


def test_without_the_package_that_reads_requirements(monkeypatch):
    monkeypatch.delitem(sys.modules, 'dreamerv2.doctor.requirements')
    monkeypatch.delattr('dreamerv2.doctor.requirements')
    monkeypatch.setitem(sys.modules, 'packaging.requirements', None)
    (row,) = installation.check_requirements(ROOT)
    assert row.status == FAILED and 'packaging' in row.seen and '.venv' in row.hint


def test_many_missing_packages_are_one_row():
    (row,) = requirements.check_packages([f'no-such-package-{number}>=1' for number in range(9)])
    assert row.status == FAILED and row.seen.startswith(
        '9 of 9: no-such-package-0 is not installed'
    )
    assert '.venv' in row.hint


def test_an_extra_may_be_missing_but_not_of_another_version(monkeypatch):
    row = requirements.check_extra('atari', 'atari_ tasks', ['no-such-package>=1'])
    assert row.status == OK and 'atari_ tasks only' in row.seen
    monkeypatch.setattr(importlib.metadata, 'version', lambda name: '0.1')
    row = requirements.check_extra('atari', 'atari_ tasks', ['ale-py>=0.12'])
    assert row.status == FAILED and 'ale-py is 0.1' in row.seen and 'ale-py>=0.12' in row.hint


def test_another_python():
    row = installation.check_python('>=2.7,<3')
    assert row.status == FAILED and sys.executable in row.seen and 'setup.sh' in row.hint


def test_what_probes_find_here():
    assert installation.check_code().status == OK
    row = installation.check_emulator()
    assert row.status == OK and 'frames/s' in row.seen


def test_tensorflow_here():
    rows = installation.check_tensorflow()
    assert [row.check for row in rows] == ['tensorflow', 'gpu', 'precision']
    assert rows[0].status == OK and importlib.metadata.version('tensorflow') in rows[0].seen


@pytest.mark.parametrize(
    'text, words',
    [
        ('kill -ILL $$', 'SIGILL (an instruction that this processor lacks)'),
        ('kill -SEGV $$', 'SIGSEGV'),
        ('echo "ImportError: no cv2" >&2; exit 1', 'ImportError: no cv2'),
        ('exit 3', 'exit code 3'),
        ('echo nonsense', "answer: 'nonsense"),
    ],
)
def test_a_probe_that_dies(tmp_path, monkeypatch, text, words):
    monkeypatch.setattr(sys, 'executable', str(program(tmp_path, 'python', text)))
    with pytest.raises(ProbeError) as error:
        probes.probe('modules')
    assert words in str(error.value)


def test_a_probe_that_hangs(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, 'executable', str(program(tmp_path, 'python', 'exec sleep 600')))
    with pytest.raises(ProbeError, match='no answer within 1 s'):
        probes.probe('modules', timeout=1)


def test_broken_libraries():
    cases = {
        installation.check_code: 'scripts/setup.sh',
        installation.check_emulator: 'nes-py==8.2.1',
        lambda run: installation.check_tensorflow(run)[0]: 'tensorflow',
    }
    for check, hint in cases.items():
        row = check(raising('the process died of SIGILL'))
        assert row.status == FAILED and 'SIGILL' in row.seen and hint in row.hint


def gpu(name, major):
    return {'name': name, 'capability': [major, 0]}


@pytest.mark.parametrize(
    'driver, gpus, visible, status, words',
    [
        ([], [], None, OK, 'no NVIDIA driver or no card'),
        (['H200'], [gpu('H200', 9)], None, OK, 'TensorFlow sees 1: H200'),
        (['H200', 'T4'], [gpu('T4', 7)], '1', OK, 'the driver has 2 (H200, T4)'),
        (['H200', 'T4'], [gpu('T4', 7)], None, FAILED, 'TensorFlow sees 1'),
        (['H200'], [], None, FAILED, 'it says: Cannot dlopen some GPU libraries'),
        (['H200'], [], '', WARNING, "CUDA_VISIBLE_DEVICES is ''"),
        ('nvidia-smi says: no driver', [], None, FAILED, 'nvidia-smi says'),
    ],
)
def test_gpus(monkeypatch, driver, gpus, visible, status, words):
    monkeypatch.delenv('CUDA_VISIBLE_DEVICES', raising=False)
    if visible is not None:
        monkeypatch.setenv('CUDA_VISIBLE_DEVICES', visible)
    said = ['other', 'Cannot dlopen some GPU libraries', 'other']
    row = installation.check_gpu(driver, {**NO_GPU, 'gpus': gpus, 'stderr': said})
    assert row.status == status and words in row.seen
    assert bool(row.hint) == (status != OK)


def test_what_the_driver_has(tmp_path, monkeypatch):
    monkeypatch.setenv('PATH', str(tmp_path))
    program(
        tmp_path,
        'nvidia-smi',
        'echo "GPU 0: NVIDIA H200 (UUID: GPU-1)\n  MIG 1g Device 0: (UUID: MIG-1)'
        '\nGPU 1: Tesla T4 (UUID: GPU-2)"',
    )
    assert installation.driver_gpus() == ['NVIDIA H200', 'Tesla T4']
    program(tmp_path, 'nvidia-smi', 'echo "NVIDIA-SMI has failed"; exit 9')
    assert installation.driver_gpus() == 'nvidia-smi says: NVIDIA-SMI has failed'


def test_precision(monkeypatch):
    monkeypatch.delenv('TF_ENABLE_ONEDNN_OPTS', raising=False)
    row = installation.check_precision([], {'amx_bf16'})
    assert row.seen.startswith('auto is bfloat16: AVX512-BF16 no, AMX-BF16 yes')
    assert 'auto is float32' in installation.check_precision([], set()).seen
    assert 'auto is float16' in installation.check_precision([gpu('T4', 7)], set()).seen
    monkeypatch.setenv('TF_ENABLE_ONEDNN_OPTS', '0')
    row = installation.check_precision([], set())
    assert row.status == WARNING and 'unset TF_ENABLE_ONEDNN_OPTS' in row.hint


def test_compilers(tmp_path, monkeypatch):
    monkeypatch.delenv('CXX', raising=False)
    assert installation.check_compiler().status == OK
    monkeypatch.setenv('PATH', str(tmp_path))
    row = installation.check_compiler()
    assert row.status == WARNING and 'g++' in row.hint
    program(tmp_path, 'g++', 'echo "fatal error: vector not found" >&2; exit 1')
    assert 'vector not found' in installation.check_compiler().seen
    monkeypatch.setenv('CXX', 'clang++-99 -O2')
    row = installation.check_compiler()
    assert row.status == WARNING and 'clang++-99 -O2 does not run' in row.seen


def test_presets(tmp_path, monkeypatch):
    assert 'mario_small' in installation.check_presets().seen
    from dreamerv2.config import files

    text = files.default_file().read_text() + '\nmine:\n  stepz: 3\n'
    (tmp_path / 'configs.yaml').write_text(text)
    monkeypatch.setattr(files, 'default_file', lambda: tmp_path / 'configs.yaml')
    row = installation.check_presets()
    assert row.status == FAILED and 'stepz' in row.seen and 'configs.yaml' in row.seen


def test_disk_and_memory(tmp_path, monkeypatch):
    usage = installation.shutil.disk_usage(tmp_path)
    for free, status in ((6e9, OK), (2e9, WARNING), (1e8, FAILED)):
        fake = usage._replace(free=free)
        monkeypatch.setattr(installation.shutil, 'disk_usage', {tmp_path: fake}.get)
        row = installation.check_disk(tmp_path / 'not' / 'yet')
        assert row.status == status and str(tmp_path) in row.seen
    statuses = [installation.check_memory(free).status for free in (8e9, 2e9, 1e8, None)]
    assert statuses == [OK, WARNING, FAILED, OK]


def test_memory_is_what_machine_and_control_group_leave(tmp_path):
    assert headroom.available_memory(tmp_path) is None
    (tmp_path / 'proc').mkdir()
    (tmp_path / 'proc/meminfo').write_text('MemTotal: 9000000 kB\nMemAvailable: 5000000 kB\n')
    assert headroom.available_memory(tmp_path) == 5.12e9
    group = tmp_path / 'sys/fs/cgroup'
    group.mkdir(parents=True)
    (group / 'memory.current').write_text('1000000000\n')
    (group / 'memory.max').write_text('3000000000\n')
    assert headroom.available_memory(tmp_path) == 2e9
    (group / 'memory.max').write_text('max\n')
    assert headroom.available_memory(tmp_path) == 5.12e9


def test_where_runs_are_put(tmp_path, monkeypatch):
    row = installation.check_writable(tmp_path / 'logdir')
    assert row.status == OK and 'made by the first run' in row.seen
    assert list(tmp_path.iterdir()) == []
    (tmp_path / 'file').touch()
    row = installation.check_writable(tmp_path / 'file' / 'logdir')
    assert row.status == FAILED and f'{tmp_path / "file"} is a file' in row.seen

    def refuse(**options):
        raise PermissionError(13, os.strerror(13))

    monkeypatch.setattr(installation.tempfile, 'TemporaryFile', refuse)
    row = installation.check_writable(tmp_path)
    assert row.status == FAILED and 'Permission denied' in row.seen and '--logdir' in row.hint
    monkeypatch.setattr(installation.tempfile, 'TemporaryFile', lambda **options: io.BytesIO())
    assert installation.check_writable(tmp_path).status == OK


def test_default_logdir(monkeypatch):
    assert installation.default_logdir() == pathlib.Path('~/logdir').expanduser()
    monkeypatch.setitem(sys.modules, 'dreamerv2.config', None)
    assert installation.default_logdir() == pathlib.Path('~/logdir').expanduser()
