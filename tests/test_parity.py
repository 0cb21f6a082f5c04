"""Agreement with the recorded outputs of the original, and that disagreement is seen."""

import importlib.util
import pathlib

import numpy as np
import pytest

ROOT = pathlib.Path(__file__).parent.parent
REFERENCE = ROOT / 'tests' / 'reference'
FILES = ['dreamerv2_parity.npz', 'dreamerv2_parity_control.npz']

spec = importlib.util.spec_from_file_location('check_parity', ROOT / 'scripts' / 'check_parity.py')
check_parity = importlib.util.module_from_spec(spec)
spec.loader.exec_module(check_parity)


@pytest.fixture(scope='module', params=FILES)
def computed(request):
    arrays = check_parity.read_file(str(REFERENCE / request.param))
    return arrays, check_parity.compute(arrays)


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


def test_exit_codes(tmp_path, capsys):
    broken = tmp_path / 'broken.npz'
    np.savez(broken, weights=np.zeros(3))
    assert check_parity.main([str(broken)]) == 2
    assert check_parity.main([str(tmp_path / 'none.npz')]) == 2
    assert 'no parity file' in capsys.readouterr().err
