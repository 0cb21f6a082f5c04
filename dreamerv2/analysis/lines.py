"""Lines of figures: what a panel shows of a stage, drawn with the numbers behind it.

Agents in question are solid lines, baselines dashed.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from dreamerv2.analysis import plotting, study, text
from dreamerv2.analysis.study import Study

AGENT, BASELINE, SHIFTED = plotting.COLORS[0], plotting.COLORS[1], '#8C5A2B'
# What the loop of a level such as 4-4 cannot farm stands beside the return.
METRICS = ('train_return', 'train_progress', 'train_completed')


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
        drawn = plotting.draw_curves(
            ax,
            line.x,
            line.stack,
            color=line.color,
            label=line.label,
            linestyle=line.style,
            linewidth=linewidth,
        )
        for i, frame in enumerate(line.x):
            point = {name: values[i] for name, values in drawn.items()}
            rows.append({**keys, 'stage': line.stage, 'frames': round(float(frame)), **point})
    return rows


def style_comparison(
    ax: Axes, data: Study, set_name: str, level: str, lines: Sequence[Line], *, first: bool
) -> None:
    title = f'{level} from {set_name}   {counts(lines[:2])}'
    plotting.style_axis(ax, title=title, end=data.plan.frames)
    if first:
        ax.set_ylabel(text.metric_label('train_return'), fontsize=plotting.FONT)
    draw_random(ax, data, level, 'train_return')


def draw_random(ax: Axes, data: Study, level: str, metric: str) -> None:
    if metric == 'train_return':
        value = float(study.random_returns(data, [level])[0])
        if np.isfinite(value):
            plotting.draw_level(ax, value, 'random policy')


def subtitle(ax: Axes, words: str) -> None:
    """Small lines between a panel's title and its axes."""
    ax.set_title(
        ax.get_title('left'),
        loc='left',
        pad=4 + 9 * len(words.split('\n')),
        fontsize=plotting.FONT + 1,
        fontweight='bold',
    )
    ax.annotate(
        words,
        (0, 1),
        xycoords='axes fraction',
        xytext=(0, 4),
        textcoords='offset points',
        fontsize=plotting.FONT - 2,
        color=plotting.GREY,
    )


def count_curves(stack: np.ndarray) -> int:
    return int(np.isfinite(stack).any(1).sum())


def counts(lines: Sequence[Line]) -> str:
    counts = [str(count_curves(line.stack)) for line in lines]
    return f'n = {counts[0]}' if len(set(counts)) == 1 else f'n = {" and ".join(counts)}'
