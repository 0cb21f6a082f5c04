"""The command, and a logdir to break."""

import os
import pathlib
import shutil
import subprocess
import sys

import pytest
from doctor_runs import make_run

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture
def doctor():
    """Runs `python -m dreamerv2.doctor`; `first` is a folder whose modules hide installed ones."""

    def run(*arguments, first='', **variables):
        path = [str(first), str(ROOT), os.environ.get('PYTHONPATH', '')]
        return subprocess.run(
            [sys.executable, '-m', 'dreamerv2.doctor', *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=300,
            env={**os.environ, 'PYTHONPATH': os.pathsep.join(filter(None, path)), **variables},
        )

    return run


@pytest.fixture(scope='session')
def intact_run(tmp_path_factory):
    """The logdir that the others are copies of."""
    path = tmp_path_factory.mktemp('intact') / 'run'
    make_run(path)
    return path


@pytest.fixture
def run(intact_run, tmp_path):
    """The logdir of a run with 4 episodes, 2 checkpoints and metrics, not finished."""
    return shutil.copytree(intact_run, tmp_path / 'run')
