"""HTML as text, in which nothing that comes from a file can become markup.

What is not `Markup` already is escaped when it is put into an element.
"""

import base64
import html
import re
from collections.abc import Iterable, Sequence

_VOID = frozenset({'br', 'hr', 'img', 'link', 'meta'})
# Characters that no HTML document may hold.
_FORBIDDEN = re.compile('[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]')


class Markup(str):
    """Text that is HTML already."""


def escape(value: object) -> Markup:
    """Any value as text of a document; Markup stays as it is."""
    if isinstance(value, Markup):
        return value
    # Names of files can hold bytes that are no text.
    text = str(value).encode('utf-8', 'replace').decode()
    return Markup(html.escape(_FORBIDDEN.sub('\N{REPLACEMENT CHARACTER}', text)))


def join(children: Iterable[object], between: str = '') -> Markup:
    """Several values after one another."""
    return Markup(escape(between).join(escape(child) for child in children))


def element(tag: str, *children: object, **attributes: object) -> Markup:
    """An element with its children, and attributes by name.

    A trailing underscore of a name is left out (`class_`), others become hyphens. None leaves an
    attribute out, True gives one without a value.
    """
    words = [tag]
    for name, value in attributes.items():
        key = name.rstrip('_').replace('_', '-')
        if value is True:
            words.append(key)
        elif value is not None:
            words.append(f'{key}="{escape(value)}"')
    opening = f'<{" ".join(words)}>'
    if tag in _VOID:
        return Markup(opening)
    return Markup(f'{opening}{join(children)}</{tag}>')


def listing(items: Iterable[object], **attributes: object) -> Markup:
    """An unordered list; nothing where there are no items."""
    entries = [element('li', item) for item in items]
    return element('ul', *entries, **attributes) if entries else Markup()


def names(listed: Iterable[object]) -> Markup:
    """Names beside one another, none of which is broken at its hyphen."""
    return join((element('span', name, class_='name') for name in listed), ' ')


def table(head: Sequence[object], rows: Iterable[Sequence[object]], label: str) -> Markup:
    """A table that scrolls sideways by itself where it is wider than the screen."""
    titles = element('tr', *(element('th', cell, scope='col') for cell in head))
    lines = [element('tr', *(element('td', cell) for cell in row)) for row in rows]
    whole = element('table', element('thead', titles), element('tbody', *lines))
    return element('div', whole, class_='scroll', tabindex=0, role='region', aria_label=label)


def data_uri(content: bytes, media_type: str) -> str:
    """Content as an address that holds it."""
    return f'data:{media_type};base64,{base64.b64encode(content).decode()}'


def page(title: str, style: str, *body: object) -> str:
    """A whole document, with a viewport for phones and no address outside itself."""
    head = element(
        'head',
        element('meta', charset='utf-8'),
        element('meta', name='viewport', content='width=device-width, initial-scale=1'),
        element('meta', name='color-scheme', content='light dark'),
        element('title', title),
        # Otherwise a browser asks for one beside the page.
        element('link', rel='icon', href='data:,'),
        element('style', Markup(style)),
    )
    return f'<!DOCTYPE html>\n{element("html", head, element("body", *body), lang="en")}\n'
