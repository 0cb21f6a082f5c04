"""The wheel of the tests of the package, and a folder for gigabytes."""

import pathlib
import tempfile

import pytest

from tests.scripts.test_package import wheel

__all__ = ['folder', 'wheel']


@pytest.fixture
def folder():
    """An empty folder outside of the repository, removed afterwards."""
    with tempfile.TemporaryDirectory() as name:
        yield pathlib.Path(name)
