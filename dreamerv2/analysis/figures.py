"""Figures 3 to 7 of the thesis, drawn from the runs of a study that are there.

Each function returns a `Drawn`: the figure, the numbers behind it, and the places in the study
that it wants and that have no run. Agents in question are solid lines, baselines dashed.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dreamerv2.analysis import answers, curves, plotting, reference, study, text
from dreamerv2.analysis.study import Place, Study

AGENT, BASELINE, SHIFTED = plotting.COLORS[0], plotting.COLORS[1], '#8C5A2B'
# What the loop of a level such as 4-4 cannot farm stands beside the return.
METRICS = ('train_return', 'train_progress', 'train_completed')


@dataclasses.dataclass(frozen=True)
class Drawn:
    """A figure under a name, the rows of its table, and the places whose runs are missing."""

    name: str
    figure: Figure
    rows: list[dict[str, Any]]
    missing: list[Place]


@dataclasses.dataclass(frozen=True)
class Line:
    """One line of a panel: curves `[S, B]` of a stage at frames `x` `[B]` of the axis."""

    stage: str
    x: np.ndarray
    stack: np.ndarray
    color: str
    style: str = '-'
    label: str = ''


def figure3(data: Study, set_name: str, *, bins: int = 50, window: int = 20) -> Drawn:
    """Train return, progress and completion per level: one agent on a set against baselines.

    A mark stands at T / N, where the baselines together have cost what the one agent costs in
    all. The return of a level that can be farmed is cut off at what the other levels reach, as in
    the thesis; the table has it in full.
    """
    levels = data.plan.sets[set_name]
    total = data.plan.frames
    grid = curves.frame_grid(total, bins)
    figure, axes = plotting.new_figure(len(levels), len(METRICS), width=3.5, height=1.9)
    rows: list[dict[str, Any]] = []
    for column, metric in enumerate(METRICS):
        agents, baselines = (
            study.level_curves(data, stage, name, levels, grid, metric=metric, window=window)
            for stage, name in (('pretrain', set_name), ('baseline', ''))
        )
        for i, level in enumerate(levels):
            ax = axes[i, column]
            lines = [
                Line('pretrain', grid, agents[:, i], AGENT, '-', f'one agent on {set_name}'),
                Line('baseline', grid, baselines[:, i], BASELINE, '--', 'an agent a level'),
            ]
            keys = {'figure': 3, 'set': set_name, 'level': level, 'metric': metric}
            rows += draw_lines(ax, lines, keys)
            title = f'{level}   {_counts(lines)}'
            plotting.style_axis(ax, title=title, ylabel=_short_label(metric), end=total)
            plotting.draw_mark(ax, total / len(levels), 'T/N')
            _draw_random(ax, data, level, metric)
            _limit_axis(ax, metric)
            if i + 1 < len(levels):
                ax.set_xlabel('')
        if metric == 'train_return':
            _cut_off_farmed(list(axes[:, column]), levels)
    plotting.figure_legend(figure)
    wanted = [
        *data.plan.places('pretrain', set_name),
        *data.plan.places('baseline', '', levels),
    ]
    return Drawn(f'figure3_{set_name}', figure, rows, data.missing(wanted))


def figure4(data: Study, *, bins: int = 50, window: int = 1) -> Drawn:
    """Image loss of the pre-training runs and of every baseline on their levels."""
    levels = sorted({level for levels in data.plan.sets.values() for level in levels})
    grid = curves.frame_grid(data.plan.frames, bins)
    figure, axes = plotting.new_figure(1, 1, width=8.0, height=4.6)
    ax = axes[0, 0]
    lines = []
    for i, level in enumerate(levels):
        stack = _losses(data, data.plan.places('baseline', '', [level]), grid, window)
        color = plotting.COLORS[1 + i % (len(plotting.COLORS) - 2)]
        style = ('--', '-.')[i // (len(plotting.COLORS) - 2) % 2]
        lines.append(Line('baseline', grid, stack, color, style, f'baseline {level}'))
    for i, set_name in enumerate(data.plan.sets):
        stack = _losses(data, data.plan.places('pretrain', set_name), grid, window)
        color = (plotting.COLORS[-1], AGENT)[i % 2]
        lines.append(Line('pretrain', grid, stack, color, '-', f'one agent on {set_name}'))
    rows = []
    for line in lines:
        width = 2.4 if line.stage == 'pretrain' else 1.2
        if len(line.stack):
            named = dataclasses.replace(line, label=f'{line.label}, n = {_n(line.stack)}')
            keys = {'figure': 4, 'line': line.label, 'metric': 'image_loss'}
            rows += draw_lines(ax, [named], keys, linewidth=width)
    plotting.style_axis(ax, ylabel=text.metric_label('image_loss'), end=data.plan.frames)
    _skip_first_values(ax, rows, data.plan.frames)
    plotting.draw_legend(ax, columns=3)
    wanted = data.plan.places('baseline', '', levels)
    for set_name in data.plan.sets:
        wanted += data.plan.places('pretrain', set_name)
    return Drawn('figure4', figure, rows, data.missing(wanted))


def figure5(data: Study, *, bins: int = 50, window: int = 20) -> Drawn:
    """Fine-tuning against baseline, a row a pre-training set and a column a level.

    The baseline is drawn a second time, T / M earlier: there it has cost what a fine-tuned agent
    with its share of the pre-training has. A mark stands at T - T / M, where that one ends.
    """
    sets = [name for name in data.plan.sets if answers.finetuned_levels(data, name)]
    total = data.plan.frames
    grid = curves.frame_grid(total, bins)
    most = max((len(answers.finetuned_levels(data, name)) for name in sets), default=1)
    found = answers.by_question(data)
    figure, axes = plotting.new_figure(max(len(sets), 1), most, width=3.4, height=2.7)
    rows: list[dict[str, Any]] = []
    wanted: list[Place] = []
    for j, set_name in enumerate(sets):
        levels = answers.finetuned_levels(data, set_name)
        share = total / len(levels)
        agents = study.level_curves(data, 'finetune', set_name, levels, grid, window=window)
        baselines = study.level_curves(data, 'baseline', '', levels, grid, window=window)
        answer = found.get(('finetune', set_name))
        for i, level in enumerate(levels):
            ax = axes[j, i]
            later = grid > share
            lines = [
                Line('finetune', grid, agents[:, i], AGENT, '-', 'fine-tuned'),
                Line('baseline', grid, baselines[:, i], BASELINE, '--', 'baseline'),
                Line(
                    'baseline, T/M earlier',
                    (grid - share)[later],
                    baselines[:, i][:, later],
                    SHIFTED,
                    '-.',
                    'baseline, T/M earlier (equal cost)',
                ),
            ]
            keys = {'figure': 5, 'set': set_name, 'level': level, 'metric': 'train_return'}
            rows += draw_lines(ax, lines, keys)
            _style_comparison(ax, data, set_name, level, lines, first=i == 0)
            bottom, top = ax.get_ylim()
            ax.set_ylim(bottom, top + 0.1 * (top - bottom))  # for the mark's name
            plotting.draw_mark(ax, total - share, 'T − T/M')
            if answer:
                _subtitle(ax, f'at T − T/M: {answer.level(level).numbers}')
        for ax in axes[j, len(levels) :]:
            ax.set_visible(False)
        wanted += data.plan.places('finetune', set_name, levels)
        wanted += data.plan.places('baseline', '', levels)
    plotting.figure_legend(figure)
    return Drawn('figure5', figure, rows, data.missing(dict.fromkeys(wanted)))


def figure6(data: Study, *, bins: int = 50, window: int = 20) -> Drawn:
    """Transfer to unseen levels against baseline, with jump-start, threshold and area ratio."""
    levels = data.plan.transfer
    sets = [name for name in data.plan.sets if levels]
    grid = curves.frame_grid(data.plan.frames, bins)
    figure, axes = plotting.new_figure(
        max(len(sets), 1), max(len(levels), 1), width=3.4, height=2.9
    )
    rows: list[dict[str, Any]] = []
    wanted = data.plan.places('baseline', '', levels)
    found = answers.by_question(data)
    for j, set_name in enumerate(sets):
        agents = study.level_curves(data, 'transfer', set_name, levels, grid, window=window)
        baselines = study.level_curves(data, 'baseline', '', levels, grid, window=window)
        answer = found.get(('transfer', set_name))
        measures = answers.transfer_measures(data, set_name)
        for i, level in enumerate(levels):
            ax = axes[j, i]
            lines = [
                Line('transfer', grid, agents[:, i], AGENT, '-', 'transferred'),
                Line('baseline', grid, baselines[:, i], BASELINE, '--', 'baseline'),
            ]
            keys = {'figure': 6, 'set': set_name, 'level': level, 'metric': 'train_return'}
            rows += draw_lines(ax, lines, keys)
            _style_comparison(ax, data, set_name, level, lines, first=i == 0)
            one = measures[i]
            area = answer.level(level).numbers if answer else 'none'
            _subtitle(
                ax, f'area {area}\njump-start {one.jump_start.numbers}\n{_frames_to_threshold(one)}'
            )
        wanted += data.plan.places('transfer', set_name, levels)
    plotting.figure_legend(figure)
    return Drawn('figure6', figure, rows, data.missing(wanted))


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


def _losses(data: Study, places: Sequence[Place], grid: np.ndarray, window: int) -> np.ndarray:
    stack = []
    for place in places:
        run = data.runs.get(place)
        series = run.series.get('image_loss') if run else None
        if run and series:
            stack.append(
                curves.on_grid(series.steps, series.values, grid, end=run.end, window=window)
            )
    return np.array(stack).reshape(len(stack), len(grid))


def _style_comparison(
    ax: Axes, data: Study, set_name: str, level: str, lines: Sequence[Line], *, first: bool
) -> None:
    title = f'{level} from {set_name}   {_counts(lines[:2])}'
    plotting.style_axis(ax, title=title, end=data.plan.frames)
    if first:
        ax.set_ylabel(text.metric_label('train_return'), fontsize=plotting.FONT)
    _draw_random(ax, data, level, 'train_return')


def _draw_random(ax: Axes, data: Study, level: str, metric: str) -> None:
    if metric == 'train_return':
        value = float(study.random_returns(data, [level])[0])
        if np.isfinite(value):
            plotting.draw_level(ax, value, 'random policy')


def _frames_to_threshold(one: answers.Transfer) -> str:
    if np.isnan(one.threshold):
        return 'no threshold: the baselines do not beat the random policy at T'
    return f'frames to return {text.short(one.threshold)}: {one.agent}\n against {one.baseline}'


def _subtitle(ax: Axes, words: str) -> None:
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


def _n(stack: np.ndarray) -> int:
    return int(np.isfinite(stack).any(1).sum())


def _counts(lines: Sequence[Line]) -> str:
    counts = [str(_n(line.stack)) for line in lines]
    return f'n = {counts[0]}' if len(set(counts)) == 1 else f'n = {" and ".join(counts)}'


def _short_label(metric: str) -> str:
    return {'train_return': 'return', 'train_progress': 'progress'}.get(metric, 'completed')


def _limit_axis(ax: Axes, metric: str) -> None:
    if metric != 'train_return':
        ax.set_ylim(-0.03, 1.03)


def _cut_off_farmed(axes: Sequence[Axes], levels: Sequence[str]) -> None:
    tops = [
        ax.get_ylim()[1]
        for ax, level in zip(axes, levels, strict=True)
        if level not in reference.FARMABLE_LEVELS
    ]
    for ax, level in zip(axes, levels, strict=True):
        if level in reference.FARMABLE_LEVELS and tops and ax.get_ylim()[1] > max(tops):
            ax.set_ylim(top=max(tops))
            title = f'{ax.get_title("left")}, cut off above'
            ax.set_title(title, loc='left', fontsize=plotting.FONT + 1, fontweight='bold')


def _skip_first_values(ax: Axes, rows: Sequence[dict[str, Any]], total: float) -> None:
    """Ends the axis above all values past the first tenth: the first ones dwarf the rest."""
    later = [row['mean'] for row in rows if row['frames'] > 0.1 * total]
    values = np.array([value for value in later if np.isfinite(value)])
    if len(values) > 1 and np.ptp(values) > 0:
        ax.set_ylim(values.min() - 0.1 * np.ptp(values), values.max() + 0.25 * np.ptp(values))
