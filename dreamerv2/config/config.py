"""The frozen configuration, made from presets and flags."""

from __future__ import annotations

import functools
import io
import os
import pathlib
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NoReturn

from dreamerv2.config import checks, files
from dreamerv2.config.flags import overview, parse_flags
from dreamerv2.config.merge import merge, plain
from dreamerv2.config.schema import SCHEMA
from dreamerv2.durable import write_durably
from dreamerv2.errors import UsageError, printable


def load_config(
    argv: Sequence[str] = (),
    *,
    file: str | os.PathLike[str] | None = None,
    presets: Sequence[str] = (),
) -> Config:
    """The configuration of a command line.

    Args:
        argv: flags without the program's name, such as `['--configs', 'mario', '--seed', '1']`.
        file: a file of presets in place of the package's `configs.yaml`.
        presets: names applied before those of `--configs`.

    The preset `defaults` comes first, then the others in order, then flags in order. `{key}` in
    `logdir` is filled in and `~` expanded. `--help` prints an overview and ends the program with
    exit code 0. Raises UsageError for every mistake of the user.
    """
    path = pathlib.Path(file) if file is not None else files.default_file()
    flags = parse_flags(argv)
    if flags.help:
        _show_help(path)
    known = files.read_presets(path)
    chosen = (*presets, *flags.presets)
    for name in chosen:
        checks.check_preset(name, known, path)
    defaults = _defaults(path)
    entries = [entry for name in chosen for entry in known[name]]
    flat = merge(defaults, [*entries, *flags.entries])
    config = _finish(flat, defaults)
    if flat['logdir'] != defaults['logdir']:
        checks.check_folder(config['logdir'])
    return config


def _finish(flat: Mapping[str, Any], defaults: Mapping[str, Any]) -> Config:
    checks.check(flat)
    resolved = {**flat, 'logdir': checks.resolve_logdir(flat)}
    return Config(resolved, checks.notes(flat, defaults), flat['logdir'])


@functools.cache
def _shipped_sets() -> Mapping[str, tuple[str, ...]]:
    sets: dict[str, tuple[str, ...]] = _nest(_defaults(files.default_file())).get('sets', {})
    return sets


def named_sets(own: Mapping[str, Sequence[str]] | None = None) -> dict[str, tuple[str, ...]]:
    """All named sets of levels and games, name to members: those of `configs.yaml` and one's own.

    Args:
        own: `{'e4': ['3-1', ...]}`, which come first; the family may be a prefix, `mario_e4`.

    Raises:
        UsageError: `configs.yaml` cannot be read.
    """
    return {**_shipped_sets(), **{name: tuple(values) for name, values in (own or {}).items()}}


def _defaults(path: pathlib.Path) -> dict[str, Any]:
    known = files.read_presets(path)
    if 'defaults' not in known:
        raise UsageError(f'{printable(str(path), 200)}: there is no preset called defaults: add it')
    flat = merge({}, known['defaults'])
    missing = [key for key in SCHEMA if key not in flat]
    if missing:
        raise UsageError(f'{printable(str(path), 200)}: defaults lack the key {missing[0]}; add it')
    return {key: flat[key] for key in SCHEMA} | flat


def _show_help(path: pathlib.Path) -> NoReturn:
    print(overview(_defaults(path), files.descriptions(path)))
    raise SystemExit(0)


def _nest(flat: Mapping[str, Any]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for key, value in flat.items():
        *parents, name = key.split('.')
        node = tree
        for parent in parents:
            node = node.setdefault(parent, {})
        node[name] = value
    return tree


def _flatten(tree: Mapping[str, Any], prefix: str = '') -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, f'{prefix}{name}.')
        else:
            yield prefix + name, value


class Section(Mapping[str, Any]):
    """A frozen nested mapping; `section.a.b`, `section['a.b']` and `section['a']['b']` are one."""

    __slots__ = ('_tree',)
    _tree: dict[str, Any]

    def __init__(self, tree: dict[str, Any]) -> None:
        object.__setattr__(self, '_tree', tree)

    def __getitem__(self, key: str) -> Any:
        value: Any = self._tree
        for name in key.split('.'):
            if not isinstance(value, dict):
                raise KeyError(key)
            value = value[name]
        return Section(value) if isinstance(value, dict) else value

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f'the configuration has no key {name}') from None

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f'the configuration is frozen; use update({{{name!r}: {value!r}}})')

    def __delattr__(self, name: str) -> None:
        raise AttributeError('the configuration is frozen')

    def __iter__(self) -> Iterator[str]:
        return iter(self._tree)

    def __len__(self) -> int:
        return len(self._tree)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._tree,)

    def __repr__(self) -> str:
        return f'{type(self).__name__}({self.to_dict()})'

    @property
    def flat(self) -> dict[str, Any]:
        """Dotted key -> value; lists are tuples."""
        return dict(_flatten(self._tree))

    def to_dict(self) -> dict[str, Any]:
        """A new nested plain dict, with lists as in JSON and YAML."""
        return _nest({key: plain(value) for key, value in _flatten(self._tree)})


class Config(Section):
    """A complete, validated configuration; made by `load_config` or `Config.load`.

    `notes` has one line for each setting that is accepted but does nothing. `logdir_template` is
    the logdir before `{task}` and the like were filled in, so that it follows an `update` of them.
    """

    __slots__ = ('logdir_template', 'notes')
    notes: tuple[str, ...]
    logdir_template: str

    def __init__(
        self, flat: Mapping[str, Any], notes: Sequence[str] = (), logdir_template: str = ''
    ) -> None:
        super().__init__(_nest(flat))
        object.__setattr__(self, 'notes', tuple(notes))
        object.__setattr__(self, 'logdir_template', logdir_template or flat['logdir'])

    def __reduce__(self) -> tuple[Any, ...]:
        return Config, (self.flat, self.notes, self.logdir_template)

    def update(self, values: Mapping[str, Any]) -> Config:
        """A new configuration with some values replaced; keys as in presets (dotted, patterns).

        Raises UsageError for unknown keys and impossible values.
        """
        return self._merged(files.Entry(key, value, 'update') for key, value in _flatten(values))

    def parse_flags(self, argv: Sequence[str] | None = None) -> Config:
        """A new configuration with flags applied to this one; `sys.argv` by default.

        Presets are not accepted here: name them when the configuration is made. Raises UsageError
        for every mistake of the user.
        """
        flags = parse_flags(sys.argv[1:] if argv is None else argv)
        if flags.help:
            _show_help(files.default_file())
        if flags.presets:
            raise UsageError(
                f'--configs {printable(" ".join(flags.presets))}: this program has chosen its '
                'presets; give single keys, such as --seed 1'
            )
        return self._merged(flags.entries)

    def _merged(self, entries: Iterable[files.Entry]) -> Config:
        flat = merge({**self.flat, 'logdir': self.logdir_template}, entries)
        return _finish(flat, _defaults(files.default_file()))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes YAML from which `Config.load` gives an equal configuration.

        Raises:
            StorageError: the file cannot be written; what was there stays.
        """
        yaml = files.YAML(typ='safe', pure=True)
        yaml.default_flow_style = False
        yaml.width = 100
        yaml.representer.sort_base_mapping_type_on_output = False
        text = io.StringIO()
        yaml.dump(self.to_dict(), text)
        write_durably(pathlib.Path(path), text.getvalue().encode())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Config:
        """Reads what `save` wrote; keys that the file lacks have their defaults.

        The file may be untrusted: only plain keys are read, no patterns. Raises UsageError, naming
        the line, for an invalid one.
        """
        path = pathlib.Path(path)
        defaults = _defaults(files.default_file())
        flat = merge(defaults, files.read_entries(path), patterns=False)
        try:
            checks.check(flat)
        except UsageError as error:
            raise UsageError(f'{printable(str(path), 200)}: {error}') from error
        return cls(flat, checks.notes(flat, defaults))
