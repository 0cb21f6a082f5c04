from dreamerv2.analysis import reference


def test_the_larger_set_holds_the_smaller():
    assert set(reference.LEVEL_SETS['e4']) < set(reference.LEVEL_SETS['e10'])
