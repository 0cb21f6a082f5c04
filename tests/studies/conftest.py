"""Where the repository is."""

import pathlib

import pytest


@pytest.fixture
def repository():
    """The repository's root."""
    return pathlib.Path(__file__).resolve().parent.parent.parent
