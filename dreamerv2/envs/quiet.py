"""Imports of libraries that talk while they are imported, without their words reaching the user."""

import contextlib
import importlib
import io
import warnings
from collections.abc import Iterator
from types import ModuleType


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Drop what is printed on standard error or warned about inside; errors pass through.

    The stream and the warning filters are restored at the end.
    """
    with contextlib.redirect_stderr(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter('ignore')
        yield


def import_quietly(name: str) -> ModuleType:
    """Import a module and drop what it prints on standard error or warns about meanwhile.

    Gym prints a notice about its own maintenance on import, and nes-py's spaces warn about their
    precision; neither is news to someone who runs this program. Only this import is silenced: the
    stream and the warning filters are restored at once, and errors pass through.

    Args:
        name: dotted name of the module.

    Returns:
        The module.

    Raises:
        ImportError: the module is not installed, or fails to import.
    """
    with quiet():
        return importlib.import_module(name)
