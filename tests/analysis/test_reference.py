import json
import pathlib

import pytest

from dreamerv2.analysis import reference

MEASURED = pathlib.Path(__file__).parents[1] / 'reference' / 'random_policy.json'


def test_random_returns_are_the_measured_ones():
    measured = json.loads(MEASURED.read_text())
    assert {k: v['return_mean'] for k, v in measured.items()} == reference.RANDOM_RETURN


def test_every_level_of_a_set_has_a_random_return():
    for levels in reference.LEVEL_SETS.values():
        assert set(levels) <= set(reference.RANDOM_RETURN)
    assert set(reference.LEVEL_SETS['e4']) < set(reference.LEVEL_SETS['e10'])


def test_random_return_of_a_task():
    assert reference.random_return('mario_1-1', ['1-1']) == 259.1
    assert reference.random_return('mario_x', ['1-1', '1-2']) == pytest.approx(175.05)
    assert reference.random_return('mario_x', ['1-1', '8-1']) is None
    assert reference.random_return('mario_x', []) is None
    assert reference.random_return('atari_1-1', ['1-1']) is None
