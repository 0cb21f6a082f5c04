"""Which Gym and Gymnasium environments there are, by id."""

import importlib
from types import ModuleType
from typing import Any

from dreamerv2.envs.quiet import import_quietly, quiet
from dreamerv2.envs.tasks import near
from dreamerv2.errors import UsageError, printable, shown


def libraries() -> list[ModuleType]:
    """Gymnasium and Gym, as far as they are installed, the maintained one first."""
    found = []
    for name in ('gymnasium', 'gym'):
        try:
            found.append(import_quietly(name))
        except ImportError:
            continue
    return found


def check_id(identifier: str) -> ModuleType:
    """Find the library that knows an environment.

    Args:
        identifier: such as `CartPole-v1`, or `module:Name-v0` to import the module that registers
            it first.

    Returns:
        Gymnasium or Gym; Gymnasium where both know it.

    Raises:
        UsageError: neither knows it, or the module cannot be imported.
    """
    module, _, name = identifier.rpartition(':')
    if module:
        try:
            with quiet():
                importlib.import_module(module)
        except Exception as error:  # The module is not this project's: it may fail in any way.
            reason = printable(str(error) or type(error).__name__, 150)
            raise UsageError(
                f'task gym_{printable(identifier)}: cannot import {shown(module)} ({reason}): '
                'install it first'
            ) from None
    known: list[str] = []
    for library in libraries():
        registry = library.envs.registration.registry
        if name in registry:
            return library
        known.extend(registry)
    raise UsageError(
        f'unknown environment {shown(name)}: neither Gym nor Gymnasium knows it{near(name, known)} '
        f'(module:{printable(name)} imports the module that registers it)'
    )


def make_by_id(identifier: str) -> tuple[Any, ModuleType]:
    """Make an environment by id, without the words of the libraries.

    Args:
        identifier: see `check_id`.

    Returns:
        The environment and the library it came from.

    Raises:
        UsageError: there is no such environment, or something that it needs is not installed.
    """
    library = check_id(identifier)
    try:
        with quiet():
            return library.make(identifier.rpartition(':')[2], disable_env_checker=True), library
    except (library.error.Error, ImportError) as error:
        reason = ' '.join(str(error).split())
        raise UsageError(f'task gym_{identifier} cannot be made: {reason}') from None
