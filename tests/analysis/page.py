"""Reads a page as a browser would have to, strictly."""

import html.parser

VOID = {'br', 'hr', 'img', 'link', 'meta'}
ADDRESSES = {'src', 'href', 'action', 'data', 'poster', 'srcset'}


class Page(html.parser.HTMLParser):
    """Elements and text of a page; raises AssertionError where a tag is not closed in order."""

    def __init__(self, text):
        super().__init__()
        self.open = []
        self.elements = []
        self.words = []
        self.feed(text)
        self.close()
        assert not self.open, f'not closed: {self.open}'

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, f'</{tag}> in {self.open}'
        self.open.pop()

    def handle_data(self, data):
        if self.open and self.open[-1] != 'style':
            self.words.append(data)

    @property
    def text(self):
        """All words in order."""
        return ' '.join(' '.join(self.words).split())

    @property
    def addresses(self):
        """Whatever an element would load or lead to."""
        return [
            value for _, found in self.elements for key, value in found.items() if key in ADDRESSES
        ]

    def all(self, tag):
        """Attributes of every element of this kind."""
        return [found for name, found in self.elements if name == tag]
