"""Paths given by users."""

from __future__ import annotations

import os
from pathlib import Path

from dreamerv2.errors import UsageError, printable


def expand_home(path: str | os.PathLike[str]) -> Path:
    """The path with a leading `~` replaced by the home folder.

    Raises:
        UsageError: there is no such home folder, as in a container whose user has no entry in
        `/etc/passwd`.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise UsageError(
            f'{printable(str(path), 100)}: there is no such home folder here; give a folder '
            'without ~, such as --logdir /data/run, or set HOME'
        ) from None
