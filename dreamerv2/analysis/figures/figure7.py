"""Figure 7 of the thesis: everything against the total number of frames it has cost."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from dreamerv2.analysis import curves, plotting, study, text
from dreamerv2.analysis.figures import Drawn, Smooth
from dreamerv2.analysis.plotting import AGENT, BASELINE, Line, draw_lines
from dreamerv2.analysis.scores import FARMABLE_LEVELS
from dreamerv2.analysis.study import Place, Study
from dreamerv2.studies.definition import STAGES

CAPTION = (
    'Figure 7: equal budget. The axis counts the frames of all agents together. Levels whose '
    'return can be farmed are left out of the mean return.'
)
QUESTION = 'finetune'
_METRICS = ('train_return', 'train_progress')


def draw(data: Study, smooth: Smooth) -> Iterator[Drawn | str]:
    """One page."""
    if any(place.stage == 'pretrain' for place in data.runs):
        yield figure7(data, bins=smooth.bins, window=smooth.window)
    else:
        yield 'figure7: not drawn, no pre-training run'


def cost_axis(stage: str, grid: np.ndarray, total: float, levels: int) -> np.ndarray:
    """Frames that all runs of a stage have cost together when each is at `grid` `[B]`.

    M baselines at t have cost M t. A pre-training run costs t. M agents fine-tuned for t have cost
    T + M t with their pre-training; past T (M - 1) / M, where that is more than the M T of the
    baselines, they have no place on the axis (NaN).

    Args:
        stage: `baseline`, `pretrain` or `finetune`.
        grid: frames of each single run `[B]`.
        total: T, the frames of a whole run.
        levels: M, the number of agents that are trained at once.
    """
    cost = np.asarray(STAGES[stage].cost(grid, total, levels), np.float64)
    return np.where(cost <= levels * total * (1 + 1e-9), cost, np.nan)


def stage_grid(stage: str, total: float, levels: int, bins: int) -> np.ndarray:
    """Frames of each single run of a stage, to the last one that has a place on the axis.

    That of M fine-tuned agents is T (M - 1) / M, whether or not it is one of `bins` points of T;
    their points are about as close as those of the others.

    Args:
        stage, total, levels: as of `cost_axis`.
        bins: points up to T.
    """
    share = (levels - 1) / levels if STAGES[stage].bears_parent else 1.0
    return curves.frame_grid(share * total, max(round(share * bins), 1)) if share else np.zeros(0)


def mean_over_levels(stack: np.ndarray) -> np.ndarray:
    """Curves `[S, L, B]` as their mean over levels `[S, B]`; NaN where a level is missing."""
    if stack.shape[1] == 0:
        return np.full((len(stack), stack.shape[2]), np.nan)
    return stack.mean(1)


def figure7(data: Study, *, bins: int = 60, window: int = 20) -> Drawn:
    """Pre-training and then fine-tuning against baselines of the same total cost.

    A column a pre-training set, on the mean over the fine-tuned levels. A set with more levels
    than those has a second column: its one agent against the baselines of all its levels. Rows are
    return and, because some returns can be farmed, progress; such levels are left out of the mean
    return, as they are of its headline.
    """
    columns = _columns(data)
    figure, axes = plotting.new_figure(len(_METRICS), max(len(columns), 1), width=4.6, height=3.0)
    rows: list[dict[str, Any]] = []
    wanted: list[Place] = []
    for column, (set_name, levels, tuned) in enumerate(columns):
        for row, metric in enumerate(_METRICS):
            ax = axes[row, column]
            shown = [
                level
                for level in levels
                if metric != 'train_return' or level not in FARMABLE_LEVELS
            ]
            lines = _lines(data, set_name, levels, shown, tuned, metric, bins, window)
            keys = {'figure': 7, 'set': set_name, 'levels': '+'.join(shown), 'metric': metric}
            rows += draw_lines(ax, lines, keys)
            title = f'{set_name}: mean over {_name(levels, shown)}'
            label = '' if column else text.metric_label(metric)
            plotting.style_axis(ax, title=title, ylabel=label, end=len(levels) * data.plan.frames)
            ax.set_xlabel(f'{ax.get_xlabel()} of all agents together', fontsize=plotting.FONT)
            plotting.draw_mark(ax, data.plan.frames, 'T')
            plotting.draw_legend(ax)
        wanted += data.plan.places('pretrain', set_name)
        wanted += data.plan.places('baseline', '', levels)
        if set(levels) == set(tuned):
            wanted += data.plan.places('finetune', set_name, tuned)
    return Drawn('figure7', figure, rows, data.missing(wanted))


def _columns(data: Study) -> list[tuple[str, tuple[str, ...], tuple[str, ...]]]:
    """(set, levels of the column, fine-tuned levels) of every column."""
    columns = []
    for set_name, levels in data.plan.sets.items():
        tuned = data.plan.levels_of('finetune', set_name)
        if tuned:
            columns.append((set_name, tuned, tuned))
        if set(levels) != set(tuned):
            columns.append((set_name, levels, tuned))
    return columns


def _lines(
    data: Study,
    set_name: str,
    levels: Sequence[str],
    shown: Sequence[str],
    tuned: Sequence[str],
    metric: str,
    bins: int,
    window: int,
) -> list[Line]:
    total = data.plan.frames
    stages = [
        ('baseline', '', BASELINE, '--', f'{len(levels)} baselines'),
        ('pretrain', set_name, AGENT, '-', f'one agent on {set_name}'),
    ]
    if set(levels) == set(tuned):
        label = f'then {len(tuned)} fine-tuned agents'
        stages.append(('finetune', set_name, plotting.COLORS[2], '-', label))
    lines = []
    for stage, name, color, style, label in stages:
        grid = stage_grid(stage, total, len(levels), bins)
        curve = mean_over_levels(
            study.level_curves(data, stage, name, shown, grid, metric=metric, window=window)
        )
        x = cost_axis(stage, grid, total, len(levels))
        kept = np.isfinite(x)
        name = f'{label}, n = {plotting.count_curves(curve)}'
        lines.append(Line(stage, x[kept], curve[:, kept], color, style, name))
    return lines


def _name(levels: Sequence[str], shown: Sequence[str]) -> str:
    name = ' '.join(shown) if len(shown) <= 4 else f'{len(shown)} levels'
    without = [level for level in levels if level not in shown]
    return f'{name} (not {" ".join(without)})' if without else name
