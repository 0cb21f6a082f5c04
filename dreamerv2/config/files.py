"""YAML files of presets and of saved configurations: reading with line numbers, and writing."""

from __future__ import annotations

import dataclasses
import functools
import os
import pathlib
import re
from collections.abc import Iterator, Mapping
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from dreamerv2.errors import UsageError

LARGEST_FILE = 100_000  # bytes; nobody writes a larger configuration by hand
MOST_ENTRIES = 20_000  # aliases can make a small file huge


@dataclasses.dataclass(frozen=True)
class Entry:
    """One setting as the user wrote it: a key or pattern, its value, and where it stands."""

    key: str
    value: Any
    where: str


def default_file() -> pathlib.Path:
    """`configs.yaml`: beside this package once installed, at the root of a checkout."""
    package = pathlib.Path(__file__).resolve().parent.parent
    places = [package / 'configs.yaml', package.parent / 'configs.yaml']
    for place in places:
        if place.is_file():
            return place
    raise UsageError(f'configs.yaml not found at {places[0]} nor {places[1]}: install again')


def read_presets(path: pathlib.Path) -> dict[str, list[Entry]]:
    """All presets of a file, in its order, each as its entries."""
    root = _read(path)
    presets: dict[str, list[Entry]] = {}
    for name, node, where in _pairs(root, path):
        if not isinstance(node, MappingNode):
            raise UsageError(f'{where}: preset {name} is no mapping of keys to values')
        presets[name] = list(_entries(node, path, '', _Budget()))
    return presets


def read_entries(path: pathlib.Path) -> list[Entry]:
    """The entries of a file that holds one configuration."""
    return list(_entries(_read(path), path, '', _Budget()))


def descriptions(path: pathlib.Path) -> dict[str, str]:
    """Preset -> the comment line right above it."""
    found, comment = {}, ''
    for line in path.read_text(encoding='utf-8').splitlines():
        match = re.match(r'([\w-]+):\s*$', line)
        if match:
            found[match.group(1)] = comment
        comment = line.lstrip('# ') if line.startswith('#') else ''
    return found


def write(path: str | os.PathLike[str], tree: Mapping[str, Any]) -> None:
    """Writes a nested dict as YAML: a whole file or none, whatever happens meanwhile."""
    path = pathlib.Path(path)
    temporary = path.with_name(f'.{path.name}.{os.getpid()}.tmp')
    yaml = YAML(typ='safe', pure=True)
    yaml.default_flow_style = False
    yaml.width = 100
    yaml.representer.sort_base_mapping_type_on_output = False
    try:
        with temporary.open('w', encoding='utf-8') as file:
            yaml.dump(dict(tree), file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


class _Budget:
    """Counts entries, so that nested aliases end in an error instead of filling the memory."""

    def __init__(self) -> None:
        self.left = MOST_ENTRIES

    def spend(self, where: str) -> None:
        self.left -= 1
        if self.left < 0:
            raise UsageError(f'{where}: more than {MOST_ENTRIES} values; remove aliases')


@functools.lru_cache(maxsize=4)
def _compose(text: str) -> Node | None:
    """The nodes of a YAML text, which nobody changes; kept because it is read again and again."""
    node: Node | None = YAML(typ='safe', pure=True).compose(text)
    return node


def _read(path: pathlib.Path) -> MappingNode:
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise UsageError(f'{path}: larger than a configuration can be ({LARGEST_FILE} bytes)')
        root = _compose(path.read_text(encoding='utf-8'))
    except OSError as error:
        raise UsageError(f'{path}: cannot be read ({error.strerror})') from error
    except UnicodeDecodeError as error:
        raise UsageError(f'{path}: not a text file in UTF-8') from error
    except RecursionError as error:
        raise UsageError(f'{path}: nested too deeply') from error
    except YAMLError as error:
        mark = getattr(error, 'problem_mark', None)
        line = f' line {mark.line + 1}' if mark else ''
        problem = getattr(error, 'problem', None) or str(error).splitlines()[0]
        raise UsageError(f'{path}{line}: not valid YAML ({problem})') from error
    if not isinstance(root, MappingNode):
        raise UsageError(f'{path}: expected keys and values, such as `seed: 1`')
    return root


def _pairs(node: MappingNode, path: pathlib.Path) -> Iterator[tuple[str, Node, str]]:
    seen: dict[str, int] = {}
    for key, value in node.value:
        line = key.start_mark.line + 1
        where = f'{path} line {line}'
        if not isinstance(key, ScalarNode) or not key.value:
            raise UsageError(f'{where}: a key must be plain text')
        if key.value in seen:
            first = seen[key.value]
            raise UsageError(f'{where}: {key.value!r} stands in line {first} too; keep one of them')
        seen[key.value] = line
        yield key.value, value, where


def _entries(
    node: MappingNode, path: pathlib.Path, prefix: str, budget: _Budget
) -> Iterator[Entry]:
    if len(prefix) > 1000:
        raise UsageError(f'{path} line {node.start_mark.line + 1}: nested too deeply')
    _check_tag(node, path)
    for key, value, where in _pairs(node, path):
        budget.spend(where)
        if isinstance(value, MappingNode):
            yield from _entries(value, path, f'{prefix}{key}.', budget)
        else:
            yield Entry(prefix + key, _value(value, path, budget), where)


def _value(node: Node, path: pathlib.Path, budget: _Budget) -> Any:
    where = f'{path} line {node.start_mark.line + 1}'
    budget.spend(where)
    kind = _check_tag(node, path)
    if isinstance(node, SequenceNode):
        if any(not isinstance(item, ScalarNode) for item in node.value):
            raise UsageError(f'{where}: a list may hold plain values only')
        return [_value(item, path, budget) for item in node.value]
    if kind == 'str':
        return node.value
    plain = node.value.replace('_', '')
    if kind == 'bool':
        return plain.lower() == 'true'
    if kind == 'null':
        return None
    try:
        return int(plain, 0) if kind == 'int' else float(plain.replace('.inf', 'inf'))
    except ValueError:
        return node.value  # such as .nan or 0123: left as text for the key to judge


def _check_tag(node: Node, path: pathlib.Path) -> str:
    """The plain kind of a node, such as 'int'; refuses tags that would build objects."""
    tag = str(node.tag)
    known = ('str', 'int', 'float', 'bool', 'null', 'seq', 'map')
    kind = tag.removeprefix('tag:yaml.org,2002:')
    if kind == 'timestamp':  # a folder named after a day is text
        return 'str'
    if kind not in known:
        line = node.start_mark.line + 1
        raise UsageError(f'{path} line {line}: the YAML tag {kind!r} is not allowed; remove it')
    return kind
