"""Figure 3 of the thesis: one agent on a set of levels against one agent per level."""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from dreamerv2.analysis import curves, plotting, study
from dreamerv2.analysis.figures import Drawn, Pages, Rows, Smooth
from dreamerv2.analysis.plotting import AGENT, BASELINE, Line
from dreamerv2.analysis.scores import FARMABLE_LEVELS, METRICS
from dreamerv2.analysis.study import Study

CAPTION = (
    'Figure 3: return, progress and completion on each level of the set. Solid: one agent on all '
    'of them; dashed: one agent per level; T/N: where those have cost as much together. Where a '
    'return can be farmed it is cut off; progress and completion beside it cannot be.'
)
QUESTION = 'pretrain'
_LABELS = {'train_return': 'return', 'train_progress': 'progress', 'train_completed': 'completed'}


def draw(data: Study, smooth: Smooth) -> Pages:
    """One page per pre-training set."""
    for name in data.plan.sets:
        if data.of_stage('pretrain', name):
            yield _page(data, name, smooth)
        else:
            yield f'figure3_{name}: not drawn, no pre-training run on {name}'
    if not data.plan.sets:
        yield 'figure3: not drawn, no pre-training run'


def _page(data: Study, set_name: str, smooth: Smooth) -> Drawn:
    """Train return, progress and completion per level: one agent on a set against baselines.

    A mark stands at T / N, where the baselines together have cost what the one agent costs in
    all. The return of a level that can be farmed is cut off at what the other levels reach, as in
    the thesis; the table has it in full. Progress or completion that is zero in all runs is left
    out, which is said above.
    """
    levels = data.plan.sets[set_name]
    total = data.plan.frames
    grid = curves.frame_grid(total, smooth.bins)
    sides = {
        metric: study.against_baselines(
            data, ('pretrain', set_name, levels), grid, metric, smooth.window
        )
        for metric in METRICS
    }
    random = study.random_returns(data, levels)
    zero = [x for x in METRICS[1:] if not any(np.nan_to_num(stack).any() for stack in sides[x])]
    shown = [metric for metric in METRICS if metric not in zero]
    figure, axes = plotting.new_figure(len(levels), len(shown), width=3.5, height=1.9)
    rows: Rows = []
    for column, metric in enumerate(shown):
        agents, baselines = sides[metric]
        for i, level in enumerate(levels):
            ax = axes[i, column]
            lines = [
                Line('pretrain', grid, agents[:, i], AGENT, '-', f'one agent on {set_name}'),
                Line('baseline', grid, baselines[:, i], BASELINE, '--', 'one agent per level'),
            ]
            keys = {'figure': 3, 'set': set_name, 'level': level, 'metric': metric}
            rows += plotting.draw_panel(ax, lines, keys, level, _LABELS[metric], total)
            plotting.draw_mark(ax, total / len(levels), 'T/N')
            if metric == 'train_return':
                plotting.draw_level(ax, random[i])
            else:
                ax.set_ylim(-0.03, 1.03)
            if i + 1 < len(levels):
                ax.set_xlabel('')
    _cut_off_farmed(list(axes[:, 0]), levels)
    if zero:
        words = f'left out, zero in all runs: {", ".join(_LABELS[metric] for metric in zero)}'
        # Above: the legend is below.
        figure.suptitle(words, fontsize=plotting.FONT - 1, color=plotting.GREY)
    plotting.figure_legend(figure)
    wanted = [*data.plan.places('pretrain', set_name), *data.plan.places('baseline', '', levels)]
    return Drawn(f'figure3_{set_name}', figure, rows, data.missing(wanted))


def _cut_off_farmed(axes: Sequence[Axes], levels: Sequence[str]) -> None:
    named = list(zip(levels, axes, strict=True))
    others = [ax.get_ylim()[1] for level, ax in named if level not in FARMABLE_LEVELS]
    top = max(others, default=math.inf)
    for level, ax in named:
        if level in FARMABLE_LEVELS and ax.get_ylim()[1] > top:
            ax.set_ylim(top=top)
            plotting.set_title(ax, f'{ax.get_title("left")}, cut off above')
