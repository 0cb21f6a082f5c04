"""Figure 8 of the thesis: an unseen level as several checkpoints' world models show it.

A run's `reconstructions.npz` has `frames` and `reconstructions` uint8 `[K, H, W, C]`, the `level`
they are of and the checkpoint's `step` in frames.
"""

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from dreamerv2 import npz
from dreamerv2.analysis import plotting, text
from dreamerv2.analysis.figures import Drawn, Smooth
from dreamerv2.analysis.figures.figure2 import MOST_BYTES, draw_image
from dreamerv2.analysis.study import Place, Study
from dreamerv2.analysis.table import Run

CAPTION = 'Figure 8: frames of a level and their reconstructions by several checkpoints.'
RECONSTRUCTIONS = 'reconstructions.npz'
_MOST_COLUMNS = 8


def draw(data: Study, smooth: Smooth) -> Iterator[Drawn | str]:
    """One page, and a line for each file that cannot be used."""
    found, lines = read_reconstructions(data)
    yield from (f'figure8: {line}' for line in lines)
    yield figure8(found) if found else f'figure8: not drawn, no run has {RECONSTRUCTIONS}'


@dataclasses.dataclass(frozen=True)
class Reconstruction:
    """Frames of a level and what one checkpoint makes of them, uint8 `[K, H, W, C]`."""

    place: Place
    level: str
    step: int
    frames: np.ndarray
    reconstructions: np.ndarray

    @property
    def errors(self) -> np.ndarray:
        """Mean squared error of each frame `[K]`, of pixels from 0 to 1."""
        return squared_errors(self.frames, self.reconstructions)

    @property
    def name(self) -> str:
        """The set or level it was trained on and its seed."""
        trained = self.place.set or self.place.level
        return f'{trained} seed {self.place.seed}'


def squared_errors(frames: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Mean squared error of pixels scaled to 0 to 1: uint8 `[K, H, W, C]` twice `-> [K]`."""
    difference = (frames.astype(np.float64) - others.astype(np.float64)) / 255
    return np.square(difference).mean((1, 2, 3))


def read_reconstruction(place: Place, run: Run) -> Reconstruction | str | None:
    """A run's reconstructions; one line where they cannot be used, None where there are none."""
    path = run.path / RECONSTRUCTIONS
    if not path.exists():
        return None
    damaged = f'{run.name}: {RECONSTRUCTIONS} cannot be read'
    try:
        arrays = npz.read(path, MOST_BYTES)
        frames, others = arrays['frames'], arrays['reconstructions']
        level = str(np.ravel(arrays['level'])[0])
        step = int(np.ravel(arrays['step'])[0])
    except (OSError, ValueError, KeyError, IndexError):
        return damaged
    pictures = frames.dtype == others.dtype == np.uint8 and frames.ndim == 4 and frames.size > 0
    if not pictures or frames.shape != others.shape:
        return damaged
    return Reconstruction(place, level, step, frames, others)


def read_reconstructions(data: Study) -> tuple[list[Reconstruction], list[str]]:
    """All that the study's runs have, in the order of its sets, and a line for each bad one."""
    sets = list(data.plan.sets)

    def order(place: Place) -> tuple[int, Place]:
        return (sets.index(place.set) if place.set in sets else len(sets)), place

    read = [read_reconstruction(place, data.runs[place]) for place in sorted(data.runs, key=order)]
    found = [one for one in read if isinstance(one, Reconstruction)]
    return found, [one for one in read if isinstance(one, str)]


def figure8(found: list[Reconstruction]) -> Drawn:
    """True frames above each checkpoint's reconstructions of them, with the error below each.

    Checkpoints that were shown other frames come below frames of their own.
    """
    groups = _groups(found)
    columns = max((min(len(group[0].frames), _MOST_COLUMNS) for group in groups), default=1)
    count = sum(len(group) + 1 for group in groups)
    figure, axes = plotting.new_figure(max(count, 1), columns, width=1.25, height=1.45)
    rows: list[dict[str, Any]] = []
    line = iter(axes)
    for group in groups:
        shown = _spread(len(group[0].frames), columns)
        _draw_row(next(line), group[0].frames[shown], f'{group[0].level}\ntrue frames')
        for one in group:
            label = f'{one.name}\n{text.short_frames(one.step)} frames'
            _draw_row(next(line), one.reconstructions[shown], label, one.errors[shown])
            rows += _rows(one)
    figure.supxlabel(
        'below each reconstruction: mean squared error of pixels from 0 to 1',
        fontsize=plotting.FONT - 1,
        color=plotting.GREY,
    )
    return Drawn('figure8', figure, rows, [])


def _groups(found: list[Reconstruction]) -> list[list[Reconstruction]]:
    """Reconstructions of the same frames together, in the order of their places."""
    groups: dict[tuple, list[Reconstruction]] = {}
    for one in found:
        key = (one.level, one.frames.shape, one.frames.tobytes())
        groups.setdefault(key, []).append(one)
    return list(groups.values())


def _spread(count: int, most: int) -> np.ndarray:
    """Indices of up to `most` of `count` frames, evenly spaced, the first and last among them."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(int))


def _draw_row(
    axes: np.ndarray, images: np.ndarray, label: str, errors: np.ndarray | None = None
) -> None:
    ax: Axes
    for i, ax in enumerate(axes):
        if i >= len(images):
            ax.set_visible(False)
            continue
        draw_image(ax, images[i])
        if errors is not None:
            ax.set_xlabel(f'{errors[i]:.4f}', fontsize=plotting.FONT - 1, labelpad=2)
    axes[0].set_ylabel(label, fontsize=plotting.FONT - 1)


def _rows(one: Reconstruction) -> list[dict[str, Any]]:
    keys = {
        'figure': 8,
        'level': one.level,
        'stage': one.place.stage,
        'set': one.place.set,
        'seed': one.place.seed,
        'step': one.step,
    }
    return [{**keys, 'frame': i, 'error': error} for i, error in enumerate(one.errors)]
