"""Which packages are required, and whether the installed ones fit."""

from __future__ import annotations

import ast
import importlib.metadata
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion, Version

from dreamerv2.doctor.rows import FAILED, Row, failed, ok

DISTRIBUTION = 'dreamerv2-mario'

_MANY = 5
_ALL = 'scripts/setup.sh makes .venv in a checkout: is it activated? or: python -m pip install .'


class Requirements(NamedTuple):
    """The requirements of an installation; `extras` has what each extra adds."""

    python: str  # such as >=3.10,<3.13
    packages: list[str]  # such as numpy>=1.26,<2
    extras: dict[str, list[str]]


def within(version: str, ranges: str) -> bool:
    """Whether a version satisfies ranges such as `>=1.26,<2`; an empty text allows all."""
    return SpecifierSet(ranges).contains(version, prereleases=True)


def from_setup(path: Path) -> Requirements:
    """The requirements in a `setup.py`, which is parsed, not run."""
    for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
        if isinstance(node, ast.Call) and getattr(node.func, 'id', '') == 'setup':
            values = {keyword.arg: keyword.value for keyword in node.keywords}
            keys = ('python_requires', 'install_requires', 'extras_require')
            return Requirements(*(ast.literal_eval(values[key]) for key in keys))
    raise ValueError(f'{path} does not call setup()')


def from_metadata() -> Requirements:
    """The requirements of the installed package."""
    packages: list[str] = []
    extras: dict[str, list[str]] = {}
    for line in importlib.metadata.requires(DISTRIBUTION) or []:
        requirement = Requirement(line)
        extra = re.search(r'extra == "([\w-]+)"', str(requirement.marker))
        requirement.marker = None
        (extras.setdefault(extra[1], []) if extra else packages).append(str(requirement))
    python = importlib.metadata.metadata(DISTRIBUTION)['Requires-Python'] or ''
    return Requirements(python.replace(' ', ''), packages, extras)


def find(root: Path) -> Requirements:
    """Those of the `setup.py` beside the package, or else of the installed package.

    Raises `importlib.metadata.PackageNotFoundError` where there is neither.
    """
    setup = root / 'setup.py'
    if setup.is_file() and DISTRIBUTION in setup.read_text(encoding='utf-8'):
        return from_setup(setup)
    return from_metadata()


def installed(name: str) -> str | None:
    """An installed package's version; None where it is missing or its metadata is damaged."""
    try:
        return str(Version(importlib.metadata.version(name) or ''))
    except (importlib.metadata.PackageNotFoundError, InvalidVersion, KeyError, OSError):
        return None


def check_packages(packages: Sequence[str]) -> list[Row]:
    """A failed row for each missing or unsuitable package, and one row for the others.

    Many failures are one row.
    """
    broken, fitting = [], []
    for requirement in map(Requirement, packages):
        name, ranges = requirement.name, str(requirement.specifier)
        version = installed(name)
        if version is not None and within(version, ranges):
            fitting.append(f'{name} {version}')
            continue
        seen = f'is {version}, but {ranges} is needed' if version else 'is not installed'
        hint = f"scripts/setup.sh in a checkout, or: python -m pip install '{name}{ranges}'"
        broken.append(failed('packages', f'{name} {seen}', hint))
    rows = broken
    if len(broken) > _MANY:
        words = ', '.join(row.seen for row in broken)
        rows = [failed('packages', f'{len(broken)} of {len(packages)}: {words}', _ALL)]
    if fitting:
        counted = f'{len(fitting)} of {len(packages)} as required'
        rows.append(ok('packages', f'{counted}: {", ".join(fitting)}'))
    return rows


def check_extra(extra: str, use: str, packages: Sequence[str]) -> Row:
    """A row for optional packages."""
    versions = {name: installed(name) for name in (Requirement(one).name for one in packages)}
    if not any(versions.values()):
        return ok(extra, f'not installed; needed for {use} only')
    for row in check_packages(packages):
        if row.status == FAILED:
            return failed(extra, row.seen, row.hint)
    return ok(extra, ', '.join(f'{name} {version}' for name, version in versions.items()))
