"""Figure 8 of the thesis: an unseen level as several checkpoints' world models show it.

A run's `reconstructions.npz` has `frames` and `reconstructions` uint8 `[K, H, W, C]`, the `level`
they are of and the checkpoint's `step` in frames; `player_error` and `enemies_error` where they are
known, see `dreamerv2.studies.reconstruct`.
"""

from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes

from dreamerv2 import npz
from dreamerv2.analysis import plotting, text
from dreamerv2.analysis.figures import Drawn, Pages, Rows, Smooth
from dreamerv2.analysis.figures.figure2 import MOST_BYTES, draw_image
from dreamerv2.analysis.study import Place, Study
from dreamerv2.analysis.table import Run

CAPTION = 'Figure 8: frames of a level and their reconstructions by several checkpoints.'
RECONSTRUCTIONS = 'reconstructions.npz'
SPRITES = ('player', 'enemies')
_MOST_COLUMNS = 8


class Reconstruction(NamedTuple):
    """Frames of a level and what one checkpoint makes of them, uint8 `[K, H, W, C]`."""

    place: Place
    level: str
    step: int
    frames: np.ndarray
    reconstructions: np.ndarray
    sprites: dict[str, float]  # error by name, of `SPRITES`: 0 is perfect, 1 blind


def draw(data: Study, smooth: Smooth) -> Pages:
    """One page, and a line for each file that cannot be used.

    True frames stand above each checkpoint's reconstructions of them, with the error below each.
    Checkpoints that were shown other frames come below frames of their own.
    """
    sets = list(data.plan.sets)

    def order(place: Place) -> tuple[int, Place]:
        return (sets.index(place.set) if place.set in sets else len(sets)), place

    found = []
    for place in sorted(data.runs, key=order):
        run = data.runs[place]
        if one := read_reconstruction(place, run):
            found.append(one)
        elif (run.path / RECONSTRUCTIONS).exists():
            yield f'figure8: {run.name}: {RECONSTRUCTIONS} cannot be read'
    if not found:
        yield f'figure8: not drawn, no run has {RECONSTRUCTIONS}'
        return
    groups: dict[tuple, list[Reconstruction]] = {}
    for one in found:
        groups.setdefault((one.level, one.frames.shape, one.frames.tobytes()), []).append(one)
    columns = max(min(len(one.frames), _MOST_COLUMNS) for one in found)
    figure, axes = plotting.new_figure(len(groups) + len(found), columns, width=1.25, height=1.45)
    rows: Rows = []
    line = iter(axes)
    for group in groups.values():
        first = group[0]
        # Evenly spaced, the first and last among them.
        count = len(first.frames)
        shown = np.unique(np.linspace(0, count - 1, min(count, columns)).round().astype(int))
        _draw_row(next(line), first.frames[shown], f'{first.level}\ntrue frames')
        for one in group:
            errors = squared_errors(one.frames, one.reconstructions)
            name = f'{one.place.set or one.place.level} seed {one.place.seed}'
            label = f'{name}\n{text.short_frames(one.step)} frames'
            label += ''.join(f'\n{sprite} {value:.2f}' for sprite, value in one.sprites.items())
            _draw_row(next(line), one.reconstructions[shown], label, errors[shown])
            of = {'stage': one.place.stage, 'set': one.place.set, 'seed': one.place.seed}
            keys = {'figure': 8, 'level': one.level, **of, 'step': one.step}
            keys |= {f'{sprite}_error': one.sprites.get(sprite, '') for sprite in SPRITES}
            rows += [{**keys, 'frame': i, 'error': error} for i, error in enumerate(errors)]
    words = 'below each reconstruction: mean squared error of pixels from 0 to 1'
    if any(one.sprites for one in found):
        words += '\nbeside: error where the sprites are, relative to a drawing without them'
    figure.supxlabel(words, fontsize=plotting.FONT - 1, color=plotting.GREY)
    yield Drawn('figure8', figure, rows)


def squared_errors(frames: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Mean squared error of pixels scaled to 0 to 1: uint8 `[K, H, W, C]` twice `-> [K]`."""
    difference = (frames.astype(np.float64) - others.astype(np.float64)) / 255
    return np.square(difference).mean((1, 2, 3))


def read_reconstruction(place: Place, run: Run) -> Reconstruction | None:
    """A run's reconstructions, None where they cannot be used."""
    try:
        arrays = npz.read(run.path / RECONSTRUCTIONS, MOST_BYTES)
        frames, others = arrays['frames'], arrays['reconstructions']
        level = str(np.ravel(arrays['level'])[0])
        step = int(np.ravel(arrays['step'])[0])
        known = {x: arrays.get(f'{x}_error', np.zeros(0)) for x in SPRITES}
        sprites = {x: float(value) for x, value in known.items() if value.size == 1}
    except (OSError, ValueError, KeyError, IndexError, TypeError):
        return None
    pictures = frames.dtype == others.dtype == np.uint8 and frames.ndim == 4 and frames.size > 0
    usable = pictures and frames.shape == others.shape
    return Reconstruction(place, level, step, frames, others, sprites) if usable else None


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
