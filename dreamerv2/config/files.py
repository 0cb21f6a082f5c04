"""YAML files of presets and of saved configurations, read with line numbers."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import pathlib
import re
import stat
import warnings
from collections.abc import Iterator
from typing import Any

from dreamerv2.errors import UsageError, printable, shown

with warnings.catch_warnings():  # The library would change the user's warning filters.
    from ruamel.yaml import YAML
    from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

LARGEST_FILE = 50_000  # bytes; no configuration is larger
MOST_VALUES = 20_000  # aliases can make a small file huge
MOST_BRACKETS = 50  # open at once; the YAML reader takes quadratic time in them
LONGEST_NUMBER = 400  # characters; a longer one stays text


@dataclasses.dataclass(frozen=True)
class Entry:
    """One setting as the user wrote it: a key or pattern, its value, and its file and line.

    For a list `items` has the place of each value.
    """

    key: str
    value: Any
    where: str
    items: tuple[str, ...] = ()


def default_file() -> pathlib.Path:
    """`configs.yaml`: in the installed package, or at the root of a checkout."""
    package = pathlib.Path(__file__).resolve().parent.parent
    places = [package / 'configs.yaml', package.parent / 'configs.yaml']
    for place in places:
        if place.is_file():
            return place
    raise UsageError(f'configs.yaml not found at {places[0]} nor {places[1]}: reinstall it')


def read_presets(path: pathlib.Path) -> dict[str, list[Entry]]:
    """All presets of a file, in its order, each as its entries."""
    presets: dict[str, list[Entry]] = {}
    for name, node, where in _pairs(_read(path), path):
        if not isinstance(node, MappingNode):
            raise UsageError(f'{where}: preset {printable(name)} is not a mapping')
        presets[name] = _flat_entries(node, path)
    return presets


def read_entries(path: pathlib.Path) -> list[Entry]:
    """The entries of a file that holds one configuration."""
    return _flat_entries(_read(path), path)


def descriptions(path: pathlib.Path) -> dict[str, str]:
    """Preset -> the comment line right above it."""
    found, comment = {}, ''
    for line in _text(path).splitlines():
        match = re.match(r'([\w-]+):\s*$', line)
        if match:
            found[match.group(1)] = comment
        comment = line.lstrip('# ') if line.startswith('#') else ''
    return found


@functools.lru_cache(maxsize=4)
def _compose(text: str) -> Node | None:
    """The nodes of a YAML text, never modified; cached because it is read repeatedly."""
    with warnings.catch_warnings():
        warnings.simplefilter('error')  # such as for an anchor given twice
        node: Node | None = YAML(typ='safe', pure=True).compose(text)
    return node


def _text(path: pathlib.Path) -> str:
    """The content of a file that may be anything: a device, a pipe, huge, binary."""
    try:
        if not stat.S_ISREG(path.stat().st_mode) and not path.is_dir():
            raise UsageError(f'{_name(path)}: cannot be read (not a regular file)')
        with path.open('rb') as file:
            content = file.read(LARGEST_FILE + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, 'strerror', None) or error
        raise UsageError(f'{_name(path)}: cannot be read ({reason})') from error
    if len(content) > LARGEST_FILE:
        raise UsageError(
            f'{_name(path)}: larger than a configuration can be ({LARGEST_FILE} bytes)'
        )
    try:
        return content.decode('utf-8')
    except UnicodeDecodeError as error:
        raise UsageError(f'{_name(path)}: not a text file in UTF-8') from error


def _read(path: pathlib.Path) -> MappingNode:
    text = _text(path)
    try:
        depth = 0
        for bracket in re.findall(r'[][{}]', text):
            depth = depth + 1 if bracket in '[{' else max(0, depth - 1)
            if depth > MOST_BRACKETS:
                raise RecursionError
        root = _compose(text)
    except RecursionError as error:
        raise UsageError(f'{_name(path)}: nested too deeply') from error
    except Exception as error:  # The reader does not only raise its own kind of error.
        mark = getattr(error, 'problem_mark', None)
        line = f' line {mark.line + 1}' if mark else ''
        words = str(getattr(error, 'problem', None) or error).strip()
        first = (words.splitlines() or [type(error).__name__])[0]
        raise UsageError(
            f'{_name(path)}{line}: not valid YAML ({printable(first, 150)})'
        ) from error
    if not isinstance(root, MappingNode):
        raise UsageError(f'{_name(path)}: expected keys and values, such as `seed: 1`')
    return root


def _name(path: pathlib.Path) -> str:
    return printable(str(path), 200)


def _at(path: pathlib.Path, node: Node) -> str:
    return f'{_name(path)} line {node.start_mark.line + 1}'


def _pairs(node: MappingNode, path: pathlib.Path) -> Iterator[tuple[str, Node, str]]:
    """The keys of a mapping, each once, with their values and places."""
    seen: dict[str, str] = {}
    _check_tag(node, path)
    for key, value in node.value:
        where = _at(path, key)
        if not isinstance(key, ScalarNode) or not key.value:
            raise UsageError(f'{where}: a key must be plain text')
        _check_tag(key, path)
        _check_new(key.value, where, seen)
        yield key.value, value, where


def _check_new(key: str, where: str, seen: dict[str, str]) -> None:
    """Raises UsageError for a key that was seen before, and remembers it."""
    if key in seen:
        line = seen[key].rpartition(' ')[2]
        raise UsageError(f'{where}: {shown(key)} is in line {line} too; keep one of them')
    seen[key] = where


def _flat_entries(node: MappingNode, path: pathlib.Path) -> list[Entry]:
    """All entries below a node, each key once, written nested or dotted."""
    entries: list[Entry] = []
    seen: dict[str, str] = {}
    values = 0

    def visit(node: MappingNode, prefix: str) -> None:
        nonlocal values
        if len(prefix) > 1000:
            raise UsageError(f'{_at(path, node)}: nested too deeply')
        for name, value, where in _pairs(node, path):
            items = value.value if isinstance(value, SequenceNode) else ()
            values += 1 + len(items)
            if values > MOST_VALUES:
                raise UsageError(f'{where}: more than {MOST_VALUES} values; remove aliases')
            if isinstance(value, MappingNode):
                visit(value, f'{prefix}{name}.')
            else:
                places = tuple(_at(path, item) for item in items)
                entries.append(Entry(prefix + name, _value(value, path), where, places))

    visit(node, '')
    for entry in entries:
        _check_new(entry.key, entry.where, seen)
    return entries


def _value(node: Node, path: pathlib.Path) -> Any:
    kind = _check_tag(node, path)
    if isinstance(node, SequenceNode):
        if any(not isinstance(item, ScalarNode) for item in node.value):
            raise UsageError(f'{_at(path, node)}: a list may hold plain values only')
        return [_value(item, path) for item in node.value]
    plain = node.value.replace('_', '')
    if kind == 'null':
        return None
    if kind == 'bool' and plain.lower() in ('true', 'false'):
        return plain.lower() == 'true'
    with contextlib.suppress(ValueError):
        if kind == 'int' and len(plain) <= LONGEST_NUMBER:
            return int(plain, 0)
        if kind == 'float' and len(plain) <= LONGEST_NUMBER:
            return float(plain.replace('.inf', 'inf'))
    return node.value  # text, or something like .nan or 0123: left as text for the key to check


def _check_tag(node: Node, path: pathlib.Path) -> str:
    """The plain type of a node, such as 'int'; refuses tags that would build objects."""
    tag = str(node.tag)
    kind = tag.removeprefix('tag:yaml.org,2002:')
    if isinstance(node, ScalarNode):
        if kind in ('timestamp', 'value'):  # a folder named after a day, or `=`, is text
            return 'str'
        known = ['str', 'int', 'float', 'bool', 'null']
    else:
        known = ['map' if isinstance(node, MappingNode) else 'seq']
    if kind == 'merge':
        raise UsageError(f'{_at(path, node)}: merging by << is not allowed; write the keys out')
    if kind not in known:
        raise UsageError(f'{_at(path, node)}: the YAML tag {shown(kind)} is not allowed; remove it')
    return kind
