"""Figure 2 of the thesis: what each level looks like near its start, from recorded episodes."""

import json
import pathlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes

from dreamerv2 import npz
from dreamerv2.analysis import plotting
from dreamerv2.analysis.figures import Drawn, Pages, Rows, Smooth
from dreamerv2.analysis.study import Study
from dreamerv2.analysis.table import Run

CAPTION = 'Figure 2: a frame near the start of each level, as the agent sees it.'
EPISODES = 'train_episodes'
# Late enough for the level to be there and the player to stand in it.
ROW = 8
# Episodes of a run that are looked into for a level.
_MOST_EPISODES = 60
_COLUMNS = 5
# Bytes that the arrays of one file may take. Episodes of colour pictures have a third of it.
MOST_BYTES = 1 << 30


class Frame(NamedTuple):
    """One frame uint8 `[H, W, C]`, and where it is from."""

    image: np.ndarray
    run: str
    episode: str


def draw(data: Study, smooth: Smooth) -> Pages:
    """One page, a grid of frames."""
    levels = data.plan.all_levels
    figure, axes = plotting.new_grid(len(levels), _COLUMNS, width=1.7, height=1.9)
    rows: Rows = []
    for ax, level in zip(axes, levels, strict=True):
        if found := find_frame(data, level):
            draw_image(ax, found.image)
            row = {'run': found.run, 'episode': found.episode, 'row': ROW}
            rows.append({'figure': 2, 'level': level, **row})
        else:
            ax.set(xlim=(0, 1), ylim=(0, 1), aspect='equal')
            style = {'fontsize': plotting.FONT - 1, 'color': plotting.GREY}
            ax.text(0.5, 0.5, 'no episode\nrecorded', ha='center', va='center', **style)
            _bare(ax)
        ax.set_title(level, fontsize=plotting.FONT + 1, fontweight='bold')
    absence = 'figure2: not drawn, no run has recorded episodes'
    yield Drawn('figure2', figure, rows) if rows else absence


def find_frame(data: Study, level: str) -> Frame | None:
    """A frame of a level from any run of the study that has recorded it, baselines first."""
    for _, run in sorted(data.runs.items(), key=lambda item: item[0].order):
        if level not in run.levels:
            continue
        for path in sorted((run.path / EPISODES).glob('*.npz'))[:_MOST_EPISODES]:
            image = read_image(path, level_names(run), level)
            if image is not None:
                return Frame(image, run.name, path.name)
    return None


def level_names(run: Run) -> tuple[str, ...]:
    """Names of the levels that `level` counts in a run's episodes."""
    try:
        listed = json.loads((run.path / EPISODES / 'levels.json').read_bytes())
    except (OSError, ValueError, RecursionError):
        listed = None
    return tuple(map(str, listed)) if isinstance(listed, list) and listed else run.levels


def read_image(path: pathlib.Path, names: Sequence[str], level: str) -> np.ndarray | None:
    """The image `[H, W, C]` of one row of an episode.

    None where the episode is of another level, too short, without images or cannot be read.
    """
    try:
        arrays = npz.read(path, MOST_BYTES)
        index = int(np.ravel(arrays['level'])[0]) if 'level' in arrays else 0
        if not 0 <= index < len(names) or names[index] != level:
            return None
        images = arrays['image']
    except (OSError, ValueError, KeyError, IndexError):
        return None
    usable = images.dtype == np.uint8 and images.ndim == 4 and len(images) > ROW
    return images[ROW] if usable else None


def draw_image(ax: Axes, image: np.ndarray) -> None:
    """An image uint8 `[H, W, C]` with square pixels and no ticks; one channel is gray."""
    # Of stacked gray frames the last is the newest.
    shown = image[..., :3] if image.shape[-1] == 3 else image[..., -1]
    ax.imshow(shown, cmap='gray', vmin=0, vmax=255, interpolation='nearest')
    _bare(ax)


def _bare(ax: Axes) -> None:
    """Takes ticks away and leaves a thin frame."""
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_color('#BBBBBB')
