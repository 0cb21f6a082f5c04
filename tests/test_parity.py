"""Agreement with the recorded outputs of the original, and that disagreement is seen."""

import importlib.util
import json
import pathlib
import re
import types

import numpy as np
import pytest

from dreamerv2.agent import Agent
from dreamerv2.nets.cpu import CpuKernels
from dreamerv2.nets.layers import PLAIN
from tests.agent.tiny import ACTIONS, make_batch, options

ROOT = pathlib.Path(__file__).parent.parent
REFERENCE = ROOT / 'tests' / 'reference'
FILES = ['dreamerv2_parity.npz', 'dreamerv2_parity_control.npz']

spec = importlib.util.spec_from_file_location('check_parity', ROOT / 'scripts' / 'check_parity.py')
check_parity = importlib.util.module_from_spec(spec)
spec.loader.exec_module(check_parity)


KERNELS = {
    'plain': PLAIN,
    'cpu': CpuKernels(),
    'cpu in shards': CpuKernels(branches=3, least_images=1, least_rollouts=1),
}


@pytest.fixture(
    scope='module',
    params=[
        *((file, name) for file in FILES for name in ('plain', 'cpu')),
        (FILES[0], 'cpu in shards'),
    ],
    ids=lambda param: f'{param[0].removesuffix(".npz")} {param[1]}',
)
def computed(request):
    file, name = request.param
    arrays = check_parity.read_file(str(REFERENCE / file))
    return arrays, check_parity.compute(arrays, KERNELS[name])


def test_every_quantity_agrees_and_has_a_row(computed):
    arrays, found = computed
    rows = check_parity.table(arrays, found)
    assert {row[0] for row in rows} == {key for key in arrays if key.startswith('out/')}
    assert [row for row in rows if not row[1] <= row[2]] == []


def test_an_output_scaled_by_1_02_disagrees(computed):
    arrays, found = computed
    for key, value in arrays.items():
        if not key.startswith('out/') or key.startswith('out/lambda_return/in/'):
            continue
        if not np.any(value):
            continue  # Zeros times 1.02 are zeros.
        scaled = {key: value.astype(np.float64) * 1.02}
        (_, error, tolerance), *_ = check_parity.table(scaled, found)
        assert error > tolerance, key


def test_scaled_inputs_of_the_lambda_return_disagree():
    arrays = check_parity.read_file(str(REFERENCE / FILES[0]))
    prefix = 'out/lambda_return/'
    only = {k: v for k, v in arrays.items() if k.startswith(prefix)}
    for name in ('reward', 'value', 'discount', 'bootstrap'):
        changed = {**only, f'{prefix}in/{name}': only[f'{prefix}in/{name}'] * 1.02}
        returns = check_parity.lambda_return_outputs(check_parity.group(changed, prefix))
        found = {prefix + key: np.asarray(value) for key, value in returns.items()}
        rows = {row[0]: row for row in check_parity.table(changed, found)}
        _, error, tolerance = rows[f'{prefix}in/{name}']
        assert error > tolerance, name


RENAMED = {  # Our names to others that a file may have.
    r'encoder/conv(\d)_norm/(.*)': r'encoder/norm\1/\2',
    r'decoder/conv(\d)_norm/scale': r'decoder/convnorm\1/gamma',
    r'decoder/conv(\d)_norm/offset': r'decoder/convnorm\1/beta',
    r'(reward|actor)/dense(\d)_norm/(.*)': r'\1/norm\2/\3',
    r'rssm/img_out_norm/(.*)': r'rssm/img_out_norm_0/\1',
}


def rename(name):
    for pattern, other in RENAMED.items():
        name = re.sub(pattern, other, name)
    return name


def make_file(path, kernels, **changes):
    """A parity file of a tiny agent with other settings, recorded from these very kernels.

    Returns its arrays, and our names of what was computed.
    """
    config = options(**changes)
    rng = np.random.default_rng(0)
    data = {f'data/{k}': v for k, v in make_batch().items() if k not in ('mask', 'level')}
    data['data/image'] = rng.integers(0, 256, (*data['data/reward'].shape, 64, 64, 3), np.uint8)
    arrays = {'config': config, **data, 'out/step1/': None}
    size = types.SimpleNamespace(shape=(64, 64, 3))
    space = types.SimpleNamespace(shape=(ACTIONS,), n=ACTIONS)
    weights = Agent({'image': size}, space, config, seed=0, precision='float32').get_state()
    prefix = 'parameters/'
    weights = {k[len(prefix) :]: v for k, v in weights.items() if k.startswith(prefix)}
    arrays.update({f'weights/{k}': v for k, v in weights.items()})
    found = check_parity.compute(arrays, KERNELS[kernels])
    del arrays['out/step1/'], arrays['config']
    arrays = {rename(k): v for k, v in {**arrays, **found}.items()}
    arrays['config'] = np.frombuffer(json.dumps(config).encode(), np.uint8)
    np.savez(path, **arrays)
    return arrays, list(found)


@pytest.mark.slow
@pytest.mark.parametrize('kernels', ['plain', 'cpu'])
def test_a_file_with_other_settings_and_other_names_of_norm_layers(
    tmp_path, capsys, monkeypatch, kernels
):
    path = tmp_path / 'other.npz'
    norm = {'norm': 'layer'}
    arrays, names = make_file(
        path,
        kernels,
        rssm=norm,
        encoder=norm,
        decoder=norm,
        reward_head={'layers': 2, **norm},
        actor={'layers': 3, **norm},
        kl={'free': 0.5, 'forward': True, 'balance': 0.5, 'free_avg': False},
        imag_horizon=3,
    )
    assert check_parity.main([str(path), kernels]) == 0
    keys = [key for key in arrays if key.startswith('out/')]
    assert f'{len(keys)} of {len(keys)} quantities agree' in capsys.readouterr().out
    assert 'weights/encoder/norm0/scale' in arrays
    key = 'out/step1/weights/encoder/norm0/scale'
    np.savez(path, **{**arrays, key: arrays[key] * 1.02})
    found = {ours: arrays[rename(ours)] for ours in names}  # Not compiled a third time.
    monkeypatch.setattr(check_parity, 'compute', lambda *_: found)
    assert check_parity.main([str(path), kernels]) == 1


def test_exit_codes(tmp_path, capsys):
    broken = tmp_path / 'broken.npz'
    np.savez(broken, weights=np.zeros(3))
    assert check_parity.main([str(broken)]) == 2
    assert check_parity.main([str(tmp_path / 'none.npz')]) == 2
    assert check_parity.main([]) == check_parity.main(['a.npz', 'fast']) == 2
    assert 'not a parity file' in capsys.readouterr().err
