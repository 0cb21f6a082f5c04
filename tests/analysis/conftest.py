"""Synthetic logdirs for all tests of the analysis."""

import pytest

from tests.analysis import synthetic


@pytest.fixture(scope='session')
def logdir():
    return synthetic.write_logdir


@pytest.fixture(scope='session')
def episodes():
    return synthetic.episode_lines


@pytest.fixture(scope='session')
def root(tmp_path_factory):
    """A finished synthetic study, not to be changed."""
    return synthetic.write_study(tmp_path_factory.mktemp('study'))
