import base64
import unicodedata

import hypothesis
import pytest
from hypothesis import strategies as st

from dreamerv2.analysis import markup
from tests.analysis.page import Page


def clean(text):
    """As the document has it: control characters but tabs and line ends replaced."""
    return ''.join(
        '\ufffd' if unicodedata.category(x) == 'Cc' and x not in '\t\n\r' else x for x in text
    )


@hypothesis.given(st.text(), st.text())
def test_no_text_becomes_markup(words, value):
    found = Page(markup.element('p', words, title=value))
    assert found.elements == [('p', {'title': clean(value)})]
    assert ''.join(found.words) == clean(words)


def test_elements():
    assert markup.element('br') == '<br>'
    assert markup.element('a', 'x', class_='b', aria_label='"', open=True, id=None) == (
        '<a class="b" aria-label="&quot;" open>x</a>'
    )
    assert markup.listing([]) == '' and markup.listing(['<']) == '<ul><li>&lt;</li></ul>'
    assert markup.join([1, markup.element('b', '&')], ', ') == '1, <b>&amp;</b>'


def test_what_no_document_may_hold_is_replaced():
    assert markup.escape('a\x00b\x1bc\td') == 'a\ufffdb\ufffdc\td'
    # As Python reads a file name that is no text.
    assert markup.escape('\udcff') == '?'


def test_content_comes_back_from_its_address():
    kind, _, rest = markup.data_uri(b'\x00\xff', 'image/png').partition(',')
    assert kind == 'data:image/png;base64' and base64.b64decode(rest) == b'\x00\xff'


@pytest.mark.parametrize('title', ['plain', '</title><script>alert(1)</script>'])
def test_a_page(title):
    text = markup.page(title, 'p { color: red }', markup.table(['a'], [['<b>'], [2]], 'l'))
    found = Page(text)
    assert text.startswith('<!DOCTYPE html>\n<html lang="en">')
    assert not found.all('script') and len(found.all('td')) == 2
    assert 'p { color: red }' in text and title in found.text
