"""Drawing, and nothing else: axes in one style, lines with bands, marks, and files.

Figures are made with matplotlib's object interface, so that no state is shared with a caller's
own figures and no display is needed.
"""

import csv
import io
import math
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.text import Text
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import ScaledTranslation

from dreamerv2.analysis import curves, text

# Okabe and Ito's colours, told apart with any colour vision; the yellow, too pale for a line on
# white, is left out.
COLORS = ('#0072B2', '#D55E00', '#009E73', '#CC79A7', '#E69F00', '#56B4E9', '#000000')
# Agents in question are solid lines, baselines dashed.
AGENT, BASELINE, SHIFTED = COLORS[0], COLORS[1], '#8C5A2B'
GREY = '#707070'
FONT = 9.0
ENDED = 'a run ends here (dotted: the others)'
# Inches that an entry of a legend takes at most.
_LEGEND_WIDTH = 2.6
DPI = 150


def new_figure(
    rows: int, columns: int, *, width: float, height: float
) -> tuple[Figure, np.ndarray]:
    """A figure and its axes `[rows, columns]`, each `width` by `height` inches."""
    layout = ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.08, wspace=0.03, hspace=0.03)
    figure = Figure(figsize=(width * columns, height * rows), layout=layout, dpi=DPI)
    return figure, figure.subplots(rows, columns, squeeze=False)


def new_grid(count: int, columns: int, *, width: float, height: float) -> tuple[Figure, np.ndarray]:
    """A figure and its axes `[count]`, at most `columns` of them beside each other."""
    columns = max(min(columns, count), 1)
    rows = max(math.ceil(count / columns), 1)
    figure, axes = new_figure(rows, columns, width=width, height=height)
    for ax in axes.flat[count:]:
        ax.set_visible(False)
    return figure, axes.flat[:count]


def style_axis(ax: Axes, *, title: str = '', ylabel: str = '', end: float = 0.0) -> None:
    """Titles, labels, grid and, with `end`, an axis of frames from 0 to there."""
    if title:
        set_title(ax, title)
    ax.set_ylabel(ylabel, fontsize=FONT)
    ax.tick_params(labelsize=FONT - 1, length=3, color=GREY)
    ax.grid(True, color='#E4E4E4', linewidth=0.7)
    ax.set_axisbelow(True)
    ax.spines[['top', 'right']].set_visible(False)
    ax.spines[['left', 'bottom']].set_color(GREY)
    if end > 0:
        # From two of a unit on.
        size, unit = text.frame_unit(end / 2)
        ax.set_xlim(0, end * 1.01)
        ax.xaxis.set_major_locator(MaxNLocator(nbins=5, steps=[1, 2, 2.5, 5, 10]))
        ax.xaxis.set_major_formatter(lambda x, _: f'{x / size:g}')
        ax.set_xlabel(f'frames ({unit})' if unit else 'frames', fontsize=FONT)


class Line(NamedTuple):
    """One line of a panel: curves `[S, B]` of a stage at frames `x` `[B]` of the axis."""

    stage: str
    x: np.ndarray
    stack: np.ndarray
    color: str
    style: str = '-'
    label: str = ''


def draw_line(
    ax: Axes, line: Line, keys: Mapping[str, Any], linewidth: float = 1.8
) -> list[dict[str, Any]]:
    """Mean over seeds with its 95 % confidence band.

    Where fewer runs are left than the curve has elsewhere, its line is thin and dotted; a cross
    stands where a run ends before the grid does. A band is cut off half the range of the runs
    outside of it. Returns the rows of the table, one a frame: `keys`, `frames`, `mean`, `low`,
    `high` and `n`.
    """
    _, grid, stack, color, style, label = line
    mean, count = curves.seed_mean(stack)
    low, high = curves.mean_band(stack)
    full = count == count.max(initial=0)
    # The band of two or three runs can be many times what the axis is about.
    seen = stack[np.isfinite(stack)] if np.isfinite(stack).any() else np.zeros(1)
    room = np.ptp(seen) / 2
    shown = np.clip([low, high], seen.min() - room, seen.max() + room)
    ax.fill_between(grid, *shown, color=color, alpha=0.18, linewidth=0)
    # One shared point on either side keeps the line unbroken where it changes.
    solid = np.where(full, mean, np.nan)
    # A line through a single point would not be seen.
    marker = 'o' if np.isfinite(solid).sum() == 1 else ''
    pen: dict[str, Any] = {'color': color, 'linestyle': style, 'linewidth': linewidth}
    ax.plot(grid, solid, marker=marker, markersize=4, label=label, **pen)
    if not full[count > 0].all():
        padded = np.concatenate([full[:1], full, full[-1:]])
        inside = padded[:-2] & full & padded[2:]
        thin = np.where(inside, np.nan, mean)
        ax.plot(grid, thin, color=color, linestyle=':', linewidth=linewidth * 0.7)
    for curve in stack:
        known = np.flatnonzero(np.isfinite(curve))
        if len(known) and known[-1] + 1 < len(grid):
            end = grid[known[-1]], curve[known[-1]]
            ax.plot(*end, 'x', markersize=5, markeredgewidth=1.4, color=color, label=ENDED)
    names = 'frames', 'mean', 'low', 'high', 'n'
    columns = map(round, grid.tolist()), mean, low, high, count
    return [{**keys, **dict(zip(names, row, strict=True))} for row in zip(*columns, strict=True)]


def draw_lines(
    ax: Axes, lines: Sequence[Line], keys: Mapping[str, Any], linewidth: float = 1.6
) -> list[dict[str, Any]]:
    """Draws the lines that have anything to show; rows as of `draw_line`, with their stage."""
    return [
        row
        for line in lines
        if np.isfinite(line.stack).any()
        for row in draw_line(ax, line, {**keys, 'stage': line.stage}, linewidth)
    ]


def draw_panel(
    ax: Axes, lines: Sequence[Line], keys: Mapping[str, Any], title: str, ylabel: str, end: float
) -> list[dict[str, Any]]:
    """Lines on a styled axis, with n of the first two behind its title; rows of `draw_lines`."""
    first, second = (curves.count_curves(line.stack) for line in lines[:2])
    rows = draw_lines(ax, lines, keys)
    style_axis(ax, title=f'{title}   {text.counts(first, second)}', ylabel=ylabel, end=end)
    return rows


def draw_level(ax: Axes, value: float, label: str = 'random policy') -> None:
    """A dashed horizontal line, such as what a random policy gets; none at NaN."""
    if np.isfinite(value):
        ax.axhline(value, color=GREY, linestyle='--', linewidth=1.1, label=label, zorder=1)


def draw_mark(ax: Axes, frame: float, label: str) -> None:
    """A thin vertical line with its name at its top, such as the budget at T/N."""
    ax.axvline(frame, color=GREY, linestyle=':', linewidth=1.1, zorder=1)
    at = (frame, 1.0), ('data', 'axes fraction'), (3, -2)
    # Words that may stand on curves.
    paper = {'facecolor': 'white', 'edgecolor': 'none', 'alpha': 0.8, 'pad': 1.0}
    _annotate(ax, label, *at, va='top', bbox=paper)


def set_title(ax: Axes, words: str, **style: Any) -> None:
    """The title of a panel, above its left corner."""
    ax.set_title(words, loc='left', fontsize=FONT + 1, fontweight='bold', **style)


def subtitle(ax: Axes, words: str) -> None:
    """Small lines between a panel's title and its axes."""
    set_title(ax, ax.get_title('left'), pad=4 + 9 * len(words.split('\n')))
    _annotate(ax, words, (0, 1), 'axes fraction', (0, 4))


def _annotate(ax: Axes, words: str, at: Any, coordinates: Any, offset: Any, **style: Any) -> None:
    """Small gray words at a point, moved by an offset in points."""
    style |= {'fontsize': FONT - 2, 'color': GREY}
    ax.annotate(words, at, offset, coordinates, 'offset points', **style)


def draw_legend(ax: Axes, columns: int = 1) -> None:
    """The legend below the axis, where it hides nothing; none where nothing has a label."""
    # In points, so that tall and flat axes leave the same room for the axis label.
    below = ax.transAxes + ScaledTranslation(0, -30 / 72, ax.figure.dpi_scale_trans)
    at = {'loc': 'upper center', 'bbox_to_anchor': (0.5, 0), 'bbox_transform': below}
    _draw_legend(ax, [ax], columns, fontsize=FONT - 1, handlelength=2.2, **at)


def figure_legend(figure: Figure) -> None:
    """One legend below all panels, with every label once."""
    columns = max(1, int(figure.get_figwidth() / _LEGEND_WIDTH))
    where = 'outside lower center'
    _draw_legend(figure, figure.axes, columns, loc=where, fontsize=FONT, handlelength=2.6)


def _draw_legend(on: Axes | Figure, axes: Sequence[Axes], columns: int, **style: Any) -> None:
    """A legend of what these axes show, every label once, that of the crosses last."""
    entries: dict[str, Any] = {}
    for ax in axes:
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
            entries.setdefault(str(label), handle)
    labels = sorted(entries, key=lambda label: label == ENDED)
    if labels:
        handles = [entries[label] for label in labels]
        on.legend(handles, labels, frameon=False, ncols=columns, **style)


def save_figure(
    figure: Figure, stem: pathlib.Path, rows: Sequence[Mapping[str, Any]]
) -> list[pathlib.Path]:
    """Writes `stem`.png, .svg and, of the numbers behind it, .csv; returns the three paths."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    paths = [stem.with_name(stem.name + suffix) for suffix in ('.png', '.svg', '.csv')]
    paths[0].write_bytes(png_bytes(figure))
    # Without a date the same numbers give the same file.
    figure.savefig(paths[1], metadata={'Date': None})
    write_csv(paths[2], rows)
    return paths


def png_bytes(figure: Figure) -> bytes:
    """The figure as a PNG file's content."""
    # Dollar signs in names are no formulas, which could also be wrong ones.
    for words in figure.findobj(Text):
        words.set_parse_math(False)  # type: ignore[attr-defined]
    file = io.BytesIO()
    figure.savefig(file, format='png', dpi=DPI)
    return file.getvalue()


def write_csv(path: pathlib.Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Writes `csv_text` to a file."""
    path.write_text(csv_text(rows), encoding='utf-8', newline='')


def csv_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """One line a row under the names of the first; numbers in six digits, NaN left empty."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator='\n')
    if rows:
        writer.writerow(rows[0])
    writer.writerows([_cell(value) for value in row.values()] for row in rows)
    return file.getvalue()


def _cell(value: Any) -> str:
    if isinstance(value, (float, np.floating)):
        return '' if math.isnan(value) else f'{float(value):.6g}'
    return str(value)
