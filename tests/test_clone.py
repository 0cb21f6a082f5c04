"""A script uses the package of its own clone, also where another one is installed."""

import ast
import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]


@pytest.fixture
def with_another(tmp_path):
    """Environment variables with which Python finds another copy of the package first."""
    package = tmp_path / 'site' / 'dreamerv2'
    package.mkdir(parents=True)
    (package / '__init__.py').write_text("raise SystemExit('the installed copy')\n")
    return {**os.environ, 'PYTHONPATH': str(package.parent)}


@pytest.mark.parametrize(
    'script',
    [
        'dreamerv2/train.py',
        'dreamerv2/evaluate.py',
        'experiments/report.py',
        'experiments/study.py',
    ],
)
def test_scripts_use_their_own_clone(script, with_another, tmp_path):
    def run(arguments):
        command = [sys.executable, *arguments, '--help']
        return subprocess.run(
            command, capture_output=True, text=True, env=with_another, cwd=tmp_path, timeout=60
        )

    assert 'the installed copy' in run(['-m', 'dreamerv2.train']).stderr
    result = run([str(ROOT / script)])
    assert (result.returncode, result.stderr) == (0, '') and 'usage: ' in result.stdout


def test_every_experiment_imports_what_chooses_the_clone_first():
    scripts = {path for path in (ROOT / 'experiments').glob('*.py') if path.stem != 'clone'}
    assert len(scripts) > 9
    for script in scripts:
        names = []
        for node in ast.parse(script.read_text()).body:
            if isinstance(node, ast.Import):
                names += [name.name for name in node.names]
            elif isinstance(node, ast.ImportFrom):
                names.append(node.module)
        tops = [name.partition('.')[0] for name in names]
        assert tops.index('clone') < tops.index('dreamerv2'), script


def test_the_folder_of_the_package_is_no_place_for_modules(with_another, tmp_path):
    """Else `gym_envs:Mine-v0` would find `dreamerv2/envs` instead of the user's `envs.py`."""
    (tmp_path / 'envs.py').write_text("raise RuntimeError('of the user')\n")
    command = [sys.executable, str(ROOT / 'dreamerv2' / 'train.py'), '--task', 'gym_envs:Mine-v0']
    result = subprocess.run(
        command, capture_output=True, text=True, env=with_another, cwd=tmp_path, timeout=60
    )
    assert result.returncode == 2 and 'of the user' in result.stderr
