"""The wheel: what travels in it, and that it works away from the repository."""

import email
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import zipfile

import pytest
from packaging.requirements import Requirement


@pytest.fixture(scope='module')
def wheel(tmp_path_factory):
    """A wheel built from a copy of the repository, without network."""
    root = tmp_path_factory.mktemp('copy')
    here = os.path.join(os.path.dirname(__file__), '..', '..')
    ignore = shutil.ignore_patterns('__pycache__')
    shutil.copytree(os.path.join(here, 'dreamerv2'), root / 'dreamerv2', ignore=ignore)
    for name in ('setup.py', 'pyproject.toml', 'configs.yaml', 'MANIFEST.in', 'LICENSE'):
        shutil.copy(os.path.join(here, name), root)
    command = [sys.executable, '-m', 'pip', 'wheel', '.', '--no-deps', '--no-build-isolation']
    done = subprocess.run([*command, '-w', 'made'], cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = (root / 'made').glob('*.whl')
    return path


def metadata(wheel):
    with zipfile.ZipFile(wheel) as file:
        (name,) = [name for name in file.namelist() if name.endswith('.dist-info/METADATA')]
        return email.message_from_string(file.read(name).decode())


def test_contents(wheel, repository):
    with zipfile.ZipFile(wheel) as file:
        names = set(file.namelist())
        assert file.read('dreamerv2/configs.yaml') == (repository / 'configs.yaml').read_bytes()
        (scripts,) = [name for name in names if name.endswith('entry_points.txt')]
        text = file.read(scripts).decode()
    own = {
        str(path.relative_to(repository))
        for path in (repository / 'dreamerv2').rglob('*.*')
        if path.suffix in ('.py', '.html', '.css', '.json')
    }
    assert own <= names and len({name.rpartition('.')[2] for name in own}) == 4
    tops = {name.split('/')[0] for name in names}
    assert {top for top in tops if not top.endswith('.dist-info')} == {'dreamerv2'}
    assert 'dreamerv2-train = dreamerv2.train:main' in text
    assert 'dreamerv2-evaluate = dreamerv2.evaluate:main' in text


def test_it_works_away_from_the_repository(wheel, tmp_path):
    with zipfile.ZipFile(wheel) as file:
        file.extractall(tmp_path / 'installed')
    program = (
        'import dreamerv2.config.files as files; from dreamerv2.config import load_config;'
        'print(files.default_file()); print(load_config(["--configs", "mario", "debug"]).task)'
    )
    environment = {**os.environ, 'PYTHONPATH': str(tmp_path / 'installed'), 'HOME': str(tmp_path)}
    command = [sys.executable, '-c', program]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    place = tmp_path / 'installed' / 'dreamerv2' / 'configs.yaml'
    assert (done.stdout, done.stderr) == (f'{place}\nmario_1-1\n', '')


def test_metadata(wheel):
    found = metadata(wheel)
    assert found['Name'] == 'dreamerv2-mario'
    extras = {
        'gpu', 'atari', 'cluster', 'peers', 'search', 'wandb', 'mlflow', 'docs', 'dev',
    }  # fmt: skip
    assert set(found.get_all('Provides-Extra')) == extras
    assert set(found['Requires-Python'].split(',')) == {'>=3.10', '<3.13'}


def test_declared_ranges_hold_the_locked_and_installed_versions(wheel, repository):
    lock = (repository / 'requirements.lock').read_text()
    checked = 0
    for line in metadata(wheel).get_all('Requires-Dist'):
        requirement = Requirement(line)
        if 'peers' in str(requirement.marker):  # Brings PyTorch: never beside TensorFlow.
            continue
        name = requirement.name.lower().replace('.', '-')
        locked = re.findall(rf'^{re.escape(name)}==(\S+)', lock, re.M)
        assert locked and all(map(requirement.specifier.contains, locked)), line
        assert requirement.specifier.contains(importlib.metadata.version(name)), line
        checked += 1
    assert checked > 15
