"""Figure 4 of the thesis: the image loss of all world models."""

import numpy as np
from matplotlib.axes import Axes

from dreamerv2.analysis import curves, plotting, table, text
from dreamerv2.analysis.figures import Drawn, Pages, Rows, Smooth
from dreamerv2.analysis.plotting import AGENT, Line, draw_lines
from dreamerv2.analysis.study import Study

CAPTION = 'Figure 4: image loss of pre-training runs and baselines.'


def draw(data: Study, smooth: Smooth) -> Pages:
    """One page: the pre-training runs, and every baseline on their levels.

    Losses are averages already and not smoothed further.
    """
    if not any('image_loss' in run.series for run in data.runs.values()):
        yield 'figure4: not drawn, no run has an image loss'
        return
    levels = sorted({level for levels in data.plan.sets.values() for level in levels})
    grid = curves.frame_grid(data.plan.frames, smooth.bins)
    figure, axes = plotting.new_figure(1, 1, width=8.0, height=4.6)
    ax = axes[0, 0]
    colors = plotting.COLORS[1:-1]
    lines = []
    for i, level in enumerate(levels):
        style = ('--', '-.')[i // len(colors) % 2]
        places = data.plan.places('baseline', '', [level])
        lines.append(('baseline', f'baseline {level}', places, colors[i % len(colors)], style))
    for i, name in enumerate(data.plan.sets):
        color = (plotting.COLORS[-1], AGENT)[i % 2]
        places = data.plan.places('pretrain', name)
        lines.append(('pretrain', f'one agent on {name}', places, color, '-'))
    rows = []
    for stage, label, places, color, style in lines:
        stack = table.stack(data.present(places), 'image_loss', grid)
        if len(stack):
            name = f'{label}, n = {curves.count_curves(stack)}'
            keys = {'figure': 4, 'line': label, 'metric': 'image_loss'}
            width = 2.4 if stage == 'pretrain' else 1.2
            line = Line(stage, grid, stack, color, style, name)
            rows += draw_lines(ax, [line], keys, linewidth=width)
    plotting.style_axis(ax, ylabel=text.metric_label('image_loss'), end=data.plan.frames)
    _skip_first_values(ax, rows, data.plan.frames)
    plotting.draw_legend(ax, columns=3)
    wanted = [place for _, _, places, _, _ in lines for place in places]
    yield Drawn('figure4', figure, rows, data.missing(wanted))


def _skip_first_values(ax: Axes, rows: Rows, total: float) -> None:
    """Ends the axis above all values past the first tenth: the first ones dwarf the rest."""
    later = [row['mean'] for row in rows if row['frames'] > 0.1 * total]
    values = np.array([value for value in later if np.isfinite(value)])
    if len(values) > 1 and np.ptp(values) > 0:
        ax.set_ylim(values.min() - 0.1 * np.ptp(values), values.max() + 0.25 * np.ptp(values))
