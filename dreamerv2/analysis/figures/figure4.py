"""Figure 4 of the thesis: the image loss of all world models."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from dreamerv2.analysis import curves, plotting, table, text
from dreamerv2.analysis.figures import Drawn, Smooth
from dreamerv2.analysis.plotting import AGENT, Line, count_curves, draw_lines
from dreamerv2.analysis.study import Place, Study

CAPTION = 'Figure 4: image loss of pre-training runs and baselines.'


def draw(data: Study, smooth: Smooth) -> Iterator[Drawn | str]:
    """One page; losses are averages already and not smoothed further."""
    if any('image_loss' in run.series for run in data.runs.values()):
        yield figure4(data, bins=smooth.bins)
    else:
        yield 'figure4: not drawn, no run has an image loss'


def figure4(data: Study, *, bins: int = 50, window: int = 1) -> Drawn:
    """Image loss of the pre-training runs and of every baseline on their levels."""
    levels = sorted({level for levels in data.plan.sets.values() for level in levels})
    grid = curves.frame_grid(data.plan.frames, bins)
    figure, axes = plotting.new_figure(1, 1, width=8.0, height=4.6)
    ax = axes[0, 0]
    lines = []
    wanted: list[Place] = []
    for i, level in enumerate(levels):
        places = data.plan.places('baseline', '', [level])
        wanted += places
        stack = table.stack(data.present(places), 'image_loss', grid, window)
        color = plotting.COLORS[1 + i % (len(plotting.COLORS) - 2)]
        style = ('--', '-.')[i // (len(plotting.COLORS) - 2) % 2]
        lines.append(Line('baseline', grid, stack, color, style, f'baseline {level}'))
    for i, set_name in enumerate(data.plan.sets):
        places = data.plan.places('pretrain', set_name)
        wanted += places
        stack = table.stack(data.present(places), 'image_loss', grid, window)
        color = (plotting.COLORS[-1], AGENT)[i % 2]
        lines.append(Line('pretrain', grid, stack, color, '-', f'one agent on {set_name}'))
    rows = []
    for line in lines:
        width = 2.4 if line.stage == 'pretrain' else 1.2
        if len(line.stack):
            named = dataclasses.replace(line, label=f'{line.label}, n = {count_curves(line.stack)}')
            keys = {'figure': 4, 'line': line.label, 'metric': 'image_loss'}
            rows += draw_lines(ax, [named], keys, linewidth=width)
    plotting.style_axis(ax, ylabel=text.metric_label('image_loss'), end=data.plan.frames)
    _skip_first_values(ax, rows, data.plan.frames)
    plotting.draw_legend(ax, columns=3)
    return Drawn('figure4', figure, rows, data.missing(wanted))


def _skip_first_values(ax: Axes, rows: Sequence[dict[str, Any]], total: float) -> None:
    """Ends the axis above all values past the first tenth: the first ones dwarf the rest."""
    later = [row['mean'] for row in rows if row['frames'] > 0.1 * total]
    values = np.array([value for value in later if np.isfinite(value)])
    if len(values) > 1 and np.ptp(values) > 0:
        ax.set_ylim(values.min() - 0.1 * np.ptp(values), values.max() + 0.25 * np.ptp(values))
