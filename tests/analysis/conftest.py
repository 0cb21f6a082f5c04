"""Synthetic logdirs for all tests of the analysis."""

import json
import pathlib

import pytest

from dreamerv2.analysis import random_policy
from tests.analysis import synthetic

REFERENCE = pathlib.Path(__file__).parents[1] / 'reference' / 'random_policy.json'


@pytest.fixture(scope='session', autouse=True)
def table():
    """A table of the random policy that stays as it is when the package's is measured anew."""
    levels = {
        level: {
            'episodes': entry['episodes'],
            'return': {'mean': entry['return_mean'], 'std': entry['return_std']},
        }
        for level, entry in json.loads(REFERENCE.read_text()).items()
    }
    settings = {'action_repeat': 4, 'sticky': 0.2, 'time_limit': 0}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(random_policy, 'table', lambda: {'settings': settings, 'levels': levels})
        yield


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
