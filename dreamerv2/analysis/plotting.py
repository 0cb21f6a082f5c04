"""Drawing, and nothing else: axes in one style, lines with bands, marks, and files.

Figures are made with matplotlib's object interface, so that no state is shared with a caller's
own figures and no display is needed.
"""

import csv
import dataclasses
import io
import math
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
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
# Behind words that stand on curves.
PAPER = {'facecolor': 'white', 'edgecolor': 'none', 'alpha': 0.8, 'pad': 1.0}
DPI = 150


def new_figure(
    rows: int, columns: int, *, width: float = 4.4, height: float = 3.3
) -> tuple[Figure, np.ndarray]:
    """A figure and its axes `[rows, columns]`, each `width` by `height` inches."""
    figure = Figure(figsize=(width * columns, height * rows), layout='constrained', dpi=DPI)
    axes = figure.subplots(rows, columns, squeeze=False)
    figure.get_layout_engine().set(w_pad=0.08, h_pad=0.08, wspace=0.03, hspace=0.03)  # type: ignore[union-attr, call-arg]
    return figure, axes


def style_axis(ax: Axes, *, title: str = '', ylabel: str = '', end: float = 0.0) -> None:
    """Titles, labels, grid and, with `end`, an axis of frames from 0 to there."""
    if title:
        ax.set_title(title, loc='left', fontsize=FONT + 1, fontweight='bold')
    ax.set_ylabel(ylabel, fontsize=FONT)
    ax.tick_params(labelsize=FONT - 1, length=3, color=GREY)
    ax.grid(True, color='#E4E4E4', linewidth=0.7)
    ax.set_axisbelow(True)
    ax.spines[['top', 'right']].set_visible(False)
    ax.spines[['left', 'bottom']].set_color(GREY)
    if end > 0:
        size, label = text.frame_unit(end)
        ax.set_xlim(0, end * 1.01)
        ax.xaxis.set_major_locator(MaxNLocator(nbins=5, steps=[1, 2, 2.5, 5, 10]))
        ax.xaxis.set_major_formatter(lambda x, _: f'{x / size:g}')
        ax.set_xlabel(label, fontsize=FONT)


def draw_curves(
    ax: Axes,
    grid: np.ndarray,
    stack: np.ndarray,
    *,
    color: str,
    label: str,
    linestyle: str = '-',
    linewidth: float = 1.8,
) -> dict[str, np.ndarray]:
    """Mean over seeds with its 95 % confidence band, of curves `[S, B]` over frames `[B]`.

    Where fewer runs are left than the curve has elsewhere, its line is thin and dotted; a cross
    stands where a run ends before the grid does. A band is cut off half the range of the runs
    outside of it.
    Returns what was drawn: `mean`, `low`, `high` and `n`, each `[B]`.
    """
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
    ax.plot(
        grid,
        solid,
        color=color,
        linestyle=linestyle,
        linewidth=linewidth,
        marker=marker,
        markersize=4,
        label=label,
    )
    if not full[count > 0].all():
        thin = np.where(full & _inner(full), np.nan, mean)
        ax.plot(grid, thin, color=color, linestyle=':', linewidth=linewidth * 0.7)
    _draw_ends(ax, grid, stack, color)
    return {'mean': mean, 'low': low, 'high': high, 'n': count}


@dataclasses.dataclass(frozen=True)
class Line:
    """One line of a panel: curves `[S, B]` of a stage at frames `x` `[B]` of the axis."""

    stage: str
    x: np.ndarray
    stack: np.ndarray
    color: str
    style: str = '-'
    label: str = ''


def draw_lines(
    ax: Axes, lines: Sequence[Line], keys: dict[str, Any], *, linewidth: float = 1.6
) -> list[dict[str, Any]]:
    """Draws lines with their bands; returns the rows of the table, `keys` first in each."""
    rows = []
    for line in lines:
        if not np.isfinite(line.stack).any():
            continue
        drawn = draw_curves(
            ax,
            line.x,
            line.stack,
            color=line.color,
            label=line.label,
            linestyle=line.style,
            linewidth=linewidth,
        )
        rows += curve_rows({**keys, 'stage': line.stage}, line.x, drawn)
    return rows


def curve_rows(
    keys: Mapping[str, Any], grid: np.ndarray, drawn: Mapping[str, np.ndarray]
) -> list[dict[str, Any]]:
    """A row per frame of `[B]` with what `draw_curves` returned there, `keys` first in each."""
    return [
        {**keys, 'frames': round(float(x)), **{name: y[i] for name, y in drawn.items()}}
        for i, x in enumerate(grid)
    ]


def _inner(mask: np.ndarray) -> np.ndarray:
    """True where a point and both its neighbours are true `[B] -> [B]`."""
    padded = np.concatenate([mask[:1], mask, mask[-1:]])
    return padded[:-2] & padded[1:-1] & padded[2:]


def _draw_ends(ax: Axes, grid: np.ndarray, stack: np.ndarray, color: str) -> None:
    """A cross where a curve of `[S, B]` ends before the grid does."""
    for curve in stack:
        known = np.flatnonzero(np.isfinite(curve))
        if len(known) and known[-1] + 1 < len(grid):
            last = known[-1]
            ax.plot(
                grid[last],
                curve[last],
                'x',
                markersize=5,
                markeredgewidth=1.4,
                color=color,
                label=ENDED,
            )


def draw_level(ax: Axes, value: float, label: str) -> None:
    """A dashed horizontal line, such as what a random policy gets."""
    ax.axhline(value, color=GREY, linestyle='--', linewidth=1.1, label=label, zorder=1)


def draw_random(ax: Axes, value: float) -> None:
    """What a random policy gets, where it is known."""
    if np.isfinite(value):
        draw_level(ax, value, 'random policy')


def draw_mark(ax: Axes, frame: float, label: str) -> None:
    """A thin vertical line with its name at its top, such as the budget at T/N."""
    ax.axvline(frame, color=GREY, linestyle=':', linewidth=1.1, zorder=1)
    ax.annotate(
        label,
        (frame, 1.0),
        xycoords=('data', 'axes fraction'),
        xytext=(3, -2),
        textcoords='offset points',
        va='top',
        fontsize=FONT - 2,
        color=GREY,
        bbox=PAPER,
    )


def subtitle(ax: Axes, words: str) -> None:
    """Small lines between a panel's title and its axes."""
    ax.set_title(
        ax.get_title('left'),
        loc='left',
        pad=4 + 9 * len(words.split('\n')),
        fontsize=FONT + 1,
        fontweight='bold',
    )
    ax.annotate(
        words,
        (0, 1),
        xycoords='axes fraction',
        xytext=(0, 4),
        textcoords='offset points',
        fontsize=FONT - 2,
        color=GREY,
    )


def count_curves(stack: np.ndarray) -> int:
    return int(np.isfinite(stack).any(1).sum())


def counts(lines: Sequence[Line]) -> str:
    counts = [str(count_curves(line.stack)) for line in lines]
    return f'n = {counts[0]}' if len(set(counts)) == 1 else f'n = {" and ".join(counts)}'


def draw_legend(ax: Axes, columns: int = 1) -> None:
    """The legend below the axis, where it hides nothing; none where nothing has a label."""
    entries = _entries([ax])
    if entries:
        # In points, so that tall and flat axes leave the same room for the axis label.
        below = ScaledTranslation(0, -30 / 72, ax.figure.dpi_scale_trans)
        ax.legend(
            list(entries.values()),
            list(entries),
            loc='upper center',
            bbox_to_anchor=(0.5, 0),
            bbox_transform=ax.transAxes + below,
            ncols=columns,
            fontsize=FONT - 1,
            frameon=False,
            handlelength=2.2,
        )


def figure_legend(figure: Figure) -> None:
    """One legend below all panels, with every label once."""
    entries = _entries(figure.axes)
    if entries:
        figure.legend(
            list(entries.values()),
            list(entries),
            loc='outside lower center',
            ncols=max(1, min(len(entries), int(figure.get_figwidth() / _LEGEND_WIDTH))),
            fontsize=FONT,
            frameon=False,
            handlelength=2.6,
        )


def _entries(axes: Sequence[Axes]) -> dict[str, Any]:
    """What to show in a legend by its label, every label once, that of the crosses last."""
    entries: dict[str, Any] = {}
    for ax in axes:
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
            entries.setdefault(str(label), handle)
    return dict(sorted(entries.items(), key=lambda entry: entry[0] == ENDED))


def save_figure(
    figure: Figure, stem: pathlib.Path, rows: Sequence[Mapping[str, Any]]
) -> list[pathlib.Path]:
    """Writes `stem`.png, .svg and, of the numbers behind it, .csv; returns the three paths."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    paths = [stem.with_name(stem.name + suffix) for suffix in ('.png', '.svg', '.csv')]
    _take_literally(figure)
    figure.savefig(paths[0], dpi=DPI)
    # Without a date the same numbers give the same file.
    figure.savefig(paths[1], metadata={'Date': None})
    write_csv(paths[2], rows)
    return paths


def png_bytes(figure: Figure) -> bytes:
    """The figure as a PNG file's content."""
    file = io.BytesIO()
    _take_literally(figure)
    figure.savefig(file, format='png', dpi=DPI)
    return file.getvalue()


def _take_literally(figure: Figure) -> None:
    """Dollar signs in names are no formulas, which could also be wrong ones."""
    for words in figure.findobj(Text):
        words.set_parse_math(False)  # type: ignore[attr-defined]


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
