"""Helpers of the tests of running."""

import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture(scope='session')
def root():
    """The repository's folder."""
    return ROOT


@pytest.fixture(scope='session')
def python_env():
    """Environment variables with which a new Python finds the package.

    Without XLA's flags, in which a run in this process may have named a cache of its own.
    """
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get('PYTHONPATH')]))
    own = {key: value for key, value in os.environ.items() if key != 'TF_XLA_FLAGS'}
    return own | {'PYTHONPATH': path}


@pytest.fixture(scope='session')
def repo_env(python_env):
    """Runs Python with arguments and returns the completed process."""

    def run(arguments, text_input='', cwd=None):
        return subprocess.run(
            [sys.executable, *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=120,
            env=python_env,
            input=text_input,
            cwd=cwd,
        )

    return run
