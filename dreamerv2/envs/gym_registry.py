"""Which Gym and Gymnasium environments there are, by id."""

import importlib
import os
import sys
import traceback
from types import ModuleType
from typing import Any

from dreamerv2.cli import nearest
from dreamerv2.errors import UsageError, printable, shown
from dreamerv2.quiet import import_quietly, quiet

REGISTER_HINT = (
    'register an id whose kwargs give them, or pass the environment to dreamerv2.api.train'
)


def libraries() -> list[ModuleType]:
    """Gymnasium and Gym, as far as they are installed, the maintained one first."""
    found = []
    for name in ('gymnasium', 'gym'):
        try:
            found.append(import_quietly(name))
        except ImportError:
            continue
    return found


def find_library(identifier: str) -> ModuleType:
    """Find the library that knows an environment.

    Args:
        identifier: such as `CartPole-v1`, or `module:Name-v0` to import the module that registers
            it first; the module may lie in the current folder.

    Returns:
        Gymnasium or Gym; Gymnasium where both know it.

    Raises:
        UsageError: neither knows it, or the module cannot be imported.
    """
    module, _, name = identifier.rpartition(':')
    if module:
        _import(module, identifier)
    known: list[str] = []
    for library in libraries():
        registry = library.envs.registration.registry
        if name in registry:
            return library
        known.extend(registry)
    prefix = f'{module}:' if module else ''
    near = [f'{prefix}{found}' for found in nearest(name, known, 3)]
    hint = f'did you mean {" or ".join(near)}?' if near else ''
    if not module:
        hint += f' gym_MODULE:{name} imports the module that registers it'
    elif not near:
        hint = f'{module} was imported and registers no such name'
    raise UsageError(
        f'unknown environment {shown(name)}: neither Gym nor Gymnasium knows it; '
        f'{printable(hint.strip(), 300)}'
    )


def make_by_id(identifier: str) -> tuple[Any, ModuleType]:
    """Make an environment by id, without the libraries' output.

    Args:
        identifier: see `find_library`.

    Returns:
        The environment and the library it came from.

    Raises:
        UsageError: there is no such environment, or it cannot be made.
    """
    library = find_library(identifier)
    name = identifier.rpartition(':')[2]
    try:
        with quiet():
            return library.make(name, disable_env_checker=True), library
    # Foreign code: it may fail in any way, or exit because a file is missing.
    except (Exception, SystemExit) as error:
        plain = isinstance(
            error, (library.error.Error, ImportError)
        )  # These messages say what to do.
        reason = printable(' '.join(str(error).split()), 300) if plain else why(error)
        hint = f': {REGISTER_HINT}' if 'required' in reason and 'argument' in reason else ''
        raise UsageError(
            f'task gym_{printable(identifier)} cannot be made: {reason}{hint}'
        ) from error


def why(error: BaseException) -> str:
    """One line about an error in foreign code, with its place."""
    reason = printable(' '.join(f'{type(error).__name__}: {error}'.split()), 300)
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return reason
    return f'{reason} ({os.path.basename(frames[-1].filename)}, line {frames[-1].lineno})'


def _import(module: str, identifier: str) -> None:
    """Import a module, also from the current folder; installed ones take precedence.

    Python itself looks there only for `python -m`, not for a console script. The folder stays on
    the path, because registered modules are imported when the environment is made.
    """
    folder = os.getcwd()
    if not {folder, ''} & set(sys.path):
        sys.path.append(folder)
    try:
        with quiet():
            importlib.import_module(module)
    except (Exception, SystemExit) as error:  # As above.
        absent = isinstance(error, ModuleNotFoundError)
        reason = printable(str(error), 150) if absent else why(error)
        hint = (
            'install it, or start in the folder that it is in' if absent else 'it fails by itself'
        )
        if module.endswith('.py'):
            hint = f'write {printable(module[:-3])}, without .py'
        raise UsageError(
            f'task gym_{printable(identifier)}: cannot import {shown(module)} ({reason}): {hint}'
        ) from error
