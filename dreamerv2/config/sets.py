"""Named sets of levels and games, defined under `sets` in `configs.yaml`."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence

from dreamerv2.config import files
from dreamerv2.config.merge import merge


def named_sets(own: Mapping[str, Sequence[str]] | None = None) -> dict[str, tuple[str, ...]]:
    """All named sets: those of `configs.yaml`, overridden by those given.

    Args:
        own: `{'e4': ['3-1', ...]}`; the family may be a prefix, `mario_e4`.

    Returns:
        Set name -> names in it.

    Raises:
        UsageError: `configs.yaml` cannot be read.
    """
    return {**_shipped(), **{name: tuple(values) for name, values in (own or {}).items()}}


@functools.cache
def _shipped() -> Mapping[str, tuple[str, ...]]:
    flat = merge({}, files.read_presets(files.default_file()).get('defaults', []))
    return {
        key.removeprefix('sets.'): tuple(values)
        for key, values in flat.items()
        if key.startswith('sets.')
    }
