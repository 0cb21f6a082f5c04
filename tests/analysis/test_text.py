import hypothesis
import pytest
from hypothesis import strategies as st

from dreamerv2.analysis import text


@pytest.mark.parametrize(
    'value, words',
    [
        (19234.4, '19234'),
        (1.92e7, '19200000'),
        (100, '100'),
        (99.96, '100'),
        (12.345, '12.3'),
        (-0.5, '-0.5'),
        (0, '0'),
        (0.0000321, '0.0000321'),
        (1e-9, '0.000000001'),
        (float('nan'), 'nan'),
        (float('-inf'), '-inf'),
    ],
)
def test_short(value, words):
    assert text.short(value) == words


def test_short_in_more_digits():
    assert [text.short(x, 4) for x in (238.27, 1234.5, 19200)] == ['238.3', '1234', '19200']


@hypothesis.given(st.floats(-1e12, 1e12), st.integers(2, 6))
def test_short_is_the_number(value, digits):
    words = text.short(value, digits)
    assert 'e' not in words
    assert float(words) == pytest.approx(value, rel=6 * 10**-digits)
