"""Paths as users give them."""

from __future__ import annotations

import os
from pathlib import Path

from dreamerv2.errors import UsageError, printable


def expand_home(path: str | os.PathLike[str]) -> Path:
    """The path with a leading `~` replaced by the home folder.

    Raises:
        UsageError: there is no such home folder, as for users of a container without an entry in
            its list of users.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise UsageError(
            f'{printable(str(path), 100)}: there is no such home folder here; give a folder '
            'without ~, such as --logdir /data/run, or set HOME'
        ) from None
