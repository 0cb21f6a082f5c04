"""Named sets of levels and games."""

from dreamerv2.config import load_config, named_sets


def test_named_sets_are_those_of_the_configuration():
    assert named_sets() == dict(load_config([]).sets.items())


def test_the_larger_set_of_the_thesis_holds_the_smaller():
    assert set(named_sets()['e4']) < set(named_sets()['e10'])


def test_own_sets_win():
    found = named_sets({'e4': ['1-1'], 'few': ['1-2']})
    assert found == {**named_sets(), 'e4': ('1-1',), 'few': ('1-2',)}
