"""One metric over frames: a panel per task, a line per setting, with the numbers behind them."""

import math
from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dreamerv2.analysis import curves, groups, plotting, random_policy, text
from dreamerv2.analysis.table import Run, Series, stack

_COLUMNS = 3


def draw(
    runs: Sequence[Run], metric: str, *, window: int = 20, bins: int = 50
) -> tuple[Figure, list[dict[str, Any]], list[str]]:
    """A figure with one panel per task.

    Args:
        runs: runs that have the metric.
        metric: its name.
        window: number of values that a point is smoothed over, see `curves.on_grid`.
        bins: points of the common grid of frames of a task and setting.

    Returns:
        The figure, the rows of its table, and one line of text a task and setting.
    """
    tasks = groups.by_task(runs)
    columns = min(_COLUMNS, len(tasks))
    height = math.ceil(len(tasks) / columns)
    size = (6.4, 4.4) if len(tasks) == 1 else (4.6, 3.7)
    figure, axes = plotting.new_figure(height, columns, width=size[0], height=size[1])
    rows: list[dict[str, Any]] = []
    lines: list[str] = []
    for ax, (task, members) in zip(axes.flat, tasks.items(), strict=False):
        end = max(max(run.end for run in members), 1)
        plotting.style_axis(ax, title=task, ylabel=text.metric_label(metric), end=end)
        settings = groups.by_setting(members)
        for i, (label, group) in enumerate(settings):
            color = plotting.COLORS[i % len(plotting.COLORS)]
            style = ('-', '--', '-.')[i // len(plotting.COLORS) % 3]
            if len(group) == 1:
                _draw_single(ax, group[0].series[metric], window, color, dots=len(settings) == 1)
            # Short runs of one setting keep their detail beside long ones of another.
            grid = curves.frame_grid(max(max(run.end for run in group), 1), bins)
            found = stack(group, metric, grid, window)
            name = _legend(label, metric, len(group), window)
            drawn = plotting.draw_curves(ax, grid, found, color=color, label=name, linestyle=style)
            names = {'task': task, 'setting': label, 'metric': metric}
            rows += plotting.curve_rows(names, grid, drawn)
            lines.append(_summary(task, label, group, metric, window))
        _draw_random(ax, members, metric)
        plotting.draw_legend(ax)
    for ax in axes.flat[len(tasks) :]:
        ax.set_visible(False)
    return figure, rows, lines


def _draw_random(ax: Axes, runs: Sequence[Run], metric: str) -> None:
    name, _, level = metric.partition('/')
    if name not in ('train_return', 'eval_return'):
        return
    found = random_policy.of_runs(runs, level, name) if level else random_policy.of_task(runs, name)
    if found is not None:
        kind = 'prefill ' * (found.source == random_policy.PREFILL)
        number = f'{found.episodes} {kind}episode{"s" * (found.episodes > 1)}'
        plotting.draw_level(ax, found.mean, f'random policy: {text.short(found.mean)} ({number})')


def _draw_single(ax: Axes, series: Series, window: int, color: str, *, dots: bool) -> None:
    """A lone run has no band: its episodes as faint dots show how far they spread."""
    if dots and window > 1:
        size = 9 if len(series) < 200 else 5 if len(series) < 2000 else 2
        ax.scatter(
            series.steps,
            series.values,
            s=size,
            color=color,
            alpha=0.3,
            linewidths=0,
            label='an episode',
        )


def _legend(label: str, metric: str, n: int, window: int) -> str:
    kind = 'episodes' if metric.startswith('train_') else 'values'
    if n > 1:
        what = 'mean over seeds, 95 % band'
    else:
        what = f'smoothed over {window} {kind}' if window > 1 else 'one run'
    return f'{label}: n = {n}' if label else f'{what}, n = {n}'


def _summary(task: str, label: str, runs: Sequence[Run], metric: str, window: int) -> str:
    """One line: who is in the group, how far they are, and the last values of their curves."""
    series = [run.series[metric] for run in runs]
    ends = [curves.value_at(x.steps, x.values, x.end, end=x.end, window=window) for x in series]
    done = sum(run.done for run in runs)
    seeds = ', '.join(str(run.seed) for run in sorted(runs, key=lambda run: run.seed))
    frames = sorted({text.short_frames(run.end) for run in runs})
    reach = frames[0] if len(frames) == 1 else f'{frames[0]} to {frames[-1]}'
    name = f'{task}, {label}' if label else task
    values = ' '.join(text.short(value, 4) for value in ends)
    plural = 's' * (len(runs) > 1)
    return (
        f'{name}: {len(runs)} run{plural} (seed{plural} {seeds}), {done} finished, '
        f'{reach} frames, last {metric}: {values}'
    )
