"""The Dockerfile names what exists, and its set-up has all that it reads."""

import fnmatch
import json
import re
import shutil

import pytest
from packaging.specifiers import SpecifierSet


@pytest.fixture
def steps(repository):
    """Instructions of the Dockerfile with their arguments, as pairs of texts."""
    text = re.sub(r'^#.*\n', '', (repository / 'Dockerfile').read_text(), flags=re.M)
    lines = text.replace('\\\n', ' ').splitlines()
    return [tuple(line.split(maxsplit=1)) for line in lines if line]


def copies(steps):
    """What is copied from the repository: sources and target."""
    words = [rest.split() for name, rest in steps if name == 'COPY' and '--from' not in rest]
    return [(sources, target) for *sources, target in words]


def test_its_python_is_a_supported_one(steps, repository):
    supported = re.search(r"python_requires='(.+?)'", (repository / 'setup.py').read_text())[1]
    images = [rest.split()[0] for name, rest in steps if name == 'FROM']
    versions = {re.fullmatch(r'python:(3\.\d+)-slim', image)[1] for image in images}
    assert len(images) == 2 and len(versions) == 1, 'the environment is made for one interpreter'
    assert SpecifierSet(supported).contains(versions.pop())


def test_what_it_copies_exists_and_is_not_ignored(steps, repository):
    ignored = (repository / '.dockerignore').read_text().split('\n*\n')[1].splitlines()
    kept = [line.removeprefix('!') for line in ignored if line.startswith('!')]
    assert all([*repository.glob(pattern)] for pattern in kept)
    sources = [source for sources, _ in copies(steps) for source in sources]
    assert len(sources) > 5
    for source in sources:
        assert (repository / source).exists()
        name = source.split('/')[0]
        assert name == '.' or any(fnmatch.fnmatch(name, pattern) for pattern in kept)
    for needed in ('configs.yaml', 'dreamerv2', 'experiments', 'scripts', 'zoo'):
        assert needed in kept


@pytest.mark.parametrize(('gpu', 'cuda'), [('0', False), ('1', True)])
def test_its_set_up_has_all_that_it_reads(steps, repository, sandbox, gpu, cuda):
    shutil.rmtree(sandbox.root)
    before = steps[: steps.index(('RUN', 'GPU=$GPU scripts/setup.sh'))]
    assert ('ARG', 'GPU=0') in before
    for sources, target in copies(before):
        (sandbox.root / target).mkdir(parents=True, exist_ok=True)
        for source in sources:
            shutil.copy(repository / source, sandbox.root / target)
    code, out, err = sandbox.run('setup.sh', GPU=gpu)
    assert (code, err) == (0, ''), out
    _, packages, emulator, _ = sandbox.calls()
    assert '--require-hashes' in packages
    assert (sandbox.root / emulator[0]).is_file()
    locked = (sandbox.root / '.venv' / 'others.lock').read_text()
    assert 'tensorflow==' in locked and ('nvidia-cudnn' in locked) is cuda
    (compiled,) = (step for step in steps if step[0] == 'RUN' and 'compileall' in step[1])
    assert '--no-compile' in packages and steps.index(compiled) == len(before) + 1


def test_it_runs_a_command_of_the_package_and_not_as_root(steps, repository):
    (name, command), (_, user) = steps[-1], steps[-2]
    assert name == 'CMD' and ('USER', user) in steps and user not in ('root', '0')
    assert f"'{json.loads(command)[0]} = " in (repository / 'setup.py').read_text()
    assert ('ENV', 'PATH=/app/.venv/bin:$PATH') in steps and ('WORKDIR', '/app') in steps
