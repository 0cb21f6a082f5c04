"""Silences what libraries print when they start, and spares TensorFlow what is not used."""

from __future__ import annotations

import contextlib
import importlib
import importlib.abc
import io
import logging
import os
import sys
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
    precision; neither is of use to someone who runs this program. Only this import is silenced: the
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


class _NoKerasForTensorflow(importlib.abc.MetaPathFinder):
    """Tells TensorFlow, while it is imported, that there is no Keras; anyone else gets it.

    TensorFlow loads Keras ahead of use, and Keras loads Matplotlib: a third of the time that the
    import takes. `tf.keras` still loads it when it is used.
    """

    def find_spec(self, name: str, path=None, target=None) -> None:
        spec = getattr(sys.modules.get('tensorflow'), '__spec__', None)
        # Not `keras` itself, whose place TensorFlow looks up without loading it.
        if name.startswith('keras.') and getattr(spec, '_initializing', False):
            raise ModuleNotFoundError('Keras is loaded when it is used', name=name)


def prepare_tensorflow() -> None:
    """Has TensorFlow start without messages of its own and its libraries', and without Keras.

    Takes effect only before TensorFlow is imported. A value that the user has set stays.
    """
    if not any(isinstance(finder, _NoKerasForTensorflow) for finder in sys.meta_path):
        sys.meta_path.insert(0, _NoKerasForTensorflow())
    os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
    os.environ.setdefault('GRPC_VERBOSITY', 'ERROR')
    os.environ.setdefault('TF_ENABLE_ONEDNN_OPTS', '1')
    for name in ('tensorflow', 'absl', 'jax'):
        logging.getLogger(name).setLevel(logging.ERROR)


def separate_stderr() -> None:
    """Gives Python its own standard error, separate from that of native code.

    From then on `devices.hidden_native_stderr` silences only the latter. Does nothing where
    standard error is already something else (under a test runner).
    """
    try:
        if sys.stderr.fileno() != 2:
            return
    except (AttributeError, OSError, ValueError):
        return
    sys.stderr.flush()
    sys.stderr = os.fdopen(os.dup(2), 'w', buffering=1, errors='backslashreplace')
