"""The figures of a study: one module a figure, found by its name.

A module of this folder is a figure under the module's name. It has

- `CAPTION`: what the report says below the figure;
- `draw(data, smooth)`: yields a `Drawn` for each page of the figure, or one line of text that says
  why it cannot be drawn from the runs that are there;
- optionally `QUESTION`, the stage of the question that the report shows it with.
"""

from __future__ import annotations

import importlib
import pathlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from dreamerv2.analysis.study import Place, Study

Rows = list[dict[str, Any]]


class Drawn(NamedTuple):
    """A figure under a name, the rows of its table, and the places whose runs are missing."""

    name: str
    figure: Figure
    rows: Rows
    missing: Sequence[Place] = ()


Pages = Iterator[Drawn | str]


class Smooth(NamedTuple):
    """How curves are drawn: points on the axis of frames, and episodes that each is smoothed over.

    See `curves.on_grid`.
    """

    bins: int = 50
    window: int = 20


def names() -> tuple[str, ...]:
    """All figures: those of the thesis by number, then others."""
    found = [path.stem for path in pathlib.Path(__file__).parent.glob('[!_]*.py')]
    return tuple(sorted(found, key=lambda name: (not name.startswith('figure'), name)))


def find(name: str) -> Any:
    """The module of a figure."""
    return importlib.import_module(f'{__name__}.{name}')


def draw(data: Study, chosen: Sequence[str] | None = None, smooth: Smooth | None = None) -> Pages:
    """The chosen figures one after another (all by default), or a line on why one is not there."""
    for name in chosen or names():
        yield from find(name).draw(data, smooth or Smooth())
