"""Figure 7 of the thesis: everything against the total number of frames it has cost."""

from collections.abc import Sequence

import numpy as np

from dreamerv2.analysis import curves, plotting, study, text
from dreamerv2.analysis.figures import Drawn, Pages, Rows, Smooth
from dreamerv2.analysis.plotting import AGENT, BASELINE, Line, draw_lines
from dreamerv2.analysis.scores import FARMABLE_LEVELS
from dreamerv2.analysis.study import Place, Study
from dreamerv2.studies.definition import STAGES

CAPTION = (
    'Figure 7: equal budget. The axis counts the frames of all agents together. Levels whose '
    'return can be farmed are left out of the mean return.'
)
QUESTION = 'finetune'
METRICS = ('train_return', 'train_progress')

Column = tuple[str, tuple[str, ...], tuple[str, ...]]


def draw(data: Study, smooth: Smooth) -> Pages:
    """One page: pre-training and then fine-tuning against baselines of the same total cost.

    A column a pre-training set, on the mean over the fine-tuned levels. A set with more levels
    than those has a second column: its one agent against the baselines of all its levels. Rows are
    return and, because some returns can be farmed, progress; such levels are left out of the mean
    return, as they are of its headline.
    """
    if not data.of_stage('pretrain'):
        yield 'figure7: not drawn, no pre-training run'
        return
    columns = _columns(data)
    figure, axes = plotting.new_figure(len(METRICS), max(len(columns), 1), width=4.6, height=3.0)
    rows: Rows = []
    wanted: list[Place] = []
    for j, (set_name, levels, tuned) in enumerate(columns):
        for i, metric in enumerate(METRICS):
            ax, shown = axes[i, j], levels_shown(levels, metric)
            lines = _lines(data, columns[j], shown, metric, smooth)
            keys = {'figure': 7, 'set': set_name, 'levels': '+'.join(shown), 'metric': metric}
            rows += draw_lines(ax, lines, keys)
            title = f'{set_name}: mean over {name_levels(levels, shown)}'
            label = '' if j else text.metric_label(metric)
            plotting.style_axis(ax, title=title, ylabel=label, end=len(levels) * data.plan.frames)
            ax.set_xlabel(f'{ax.get_xlabel()} of all agents together', fontsize=plotting.FONT)
            plotting.draw_mark(ax, data.plan.frames, 'T')
            plotting.draw_legend(ax)
        wanted += data.plan.places('pretrain', set_name)
        wanted += data.plan.places('baseline', '', levels)
        if tuned:
            wanted += data.plan.places('finetune', set_name, tuned)
    yield Drawn('figure7', figure, rows, data.missing(wanted))


def stage_grid(stage: str, total: float, levels: int, bins: int) -> np.ndarray:
    """Frames of each single run of a stage, to the last one that has a place on the axis.

    `total` is T, the frames of a whole run, and `levels` M, the agents that are trained at once.
    M baselines at t have cost M t together, a pre-training run t, and M agents fine-tuned for t
    T + M t with their pre-training. Those end at T (M - 1) / M, where that is the M T of the
    baselines, whether or not it is one of `bins` points of T; their points, `bins` up to T, are
    about as close as those of the others.
    """
    share = (levels - 1) / levels if STAGES[stage].bears_parent else 1.0
    return curves.frame_grid(share * total, max(round(share * bins), 1)) if share else np.zeros(0)


def levels_shown(levels: Sequence[str], metric: str) -> list[str]:
    """The levels that enter the mean of a metric: not those whose return can be farmed."""
    left_out = FARMABLE_LEVELS if metric == 'train_return' else frozenset()
    return [level for level in levels if level not in left_out]


def mean_over_levels(stack: np.ndarray) -> np.ndarray:
    """Curves `[S, L, B]` as their mean over levels `[S, B]`; NaN where a level is missing."""
    return stack.mean(1) if stack.shape[1] else np.full((len(stack), stack.shape[2]), np.nan)


def _columns(data: Study) -> list[Column]:
    """(set, levels of the column, those of them that agents are fine-tuned to, if all are)."""
    columns = []
    for set_name, levels in data.plan.sets.items():
        tuned = data.plan.levels_of('finetune', set_name)
        if tuned:
            columns.append((set_name, tuned, tuned))
        if set(levels) != set(tuned):
            columns.append((set_name, levels, ()))
    return columns


def _lines(
    data: Study, column: Column, shown: Sequence[str], metric: str, smooth: Smooth
) -> list[Line]:
    set_name, levels, tuned = column
    total = data.plan.frames
    stages = [
        ('baseline', '', BASELINE, '--', f'{len(levels)} baselines'),
        ('pretrain', set_name, AGENT, '-', f'one agent on {set_name}'),
    ]
    if tuned:
        label = f'then {len(tuned)} fine-tuned agents'
        stages.append(('finetune', set_name, plotting.COLORS[2], '-', label))
    lines = []
    for stage, name, color, style, label in stages:
        grid = stage_grid(stage, total, len(levels), smooth.bins)
        stack = study.level_curves(data, (stage, name, shown), grid, metric, smooth.window)
        curve, cost = mean_over_levels(stack), STAGES[stage].cost(grid, total, len(levels))
        label = f'{label}, n = {curves.count_curves(curve)}'
        lines.append(Line(stage, cost, curve, color, style, label))
    return lines


def name_levels(levels: Sequence[str], shown: Sequence[str]) -> str:
    """Those that are shown, and which of the levels are not."""
    name = ' '.join(shown) if len(shown) <= 4 else f'{len(shown)} levels'
    without = [level for level in levels if level not in shown]
    return f'{name} (not {" ".join(without)})' if without else name
