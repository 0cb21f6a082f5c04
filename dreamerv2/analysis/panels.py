"""One metric over frames: a panel per task, a line per setting, with the numbers behind them.

Runs with the same settings are repetitions, so that a mean over their seeds means something.
"""

import os
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dreamerv2.analysis import curves, plotting, random_policy, text
from dreamerv2.analysis.table import Run, stack

# Settings that differ between repetitions, or say where, how long and how often something is done.
# Not `envs`, `envs_parallel` and `async_collect`: with them steps and updates come in another
# order, and other weights act.
_NOT_THE_AGENT = re.compile(
    r'seed|logdir|device|gpu_memory|dry_run|accept_changes|steps|jit|kernels|deterministic'
    r'|(log|eval|save)_.*|sets\..*|init\.(from|dry_run)|replay\.keep_on_disk'
)
_MOST_KEYS_IN_LABEL = 3
_COLUMNS = 3


def by_setting(runs: Sequence[Run]) -> list[tuple[str, list[Run]]]:
    """Runs of one task as groups with a label, a group holding repetitions with other seeds.

    Runs are repetitions if they have the same place in a study and the same settings of
    environment, collecting and agent. The label names the settings that differ between the groups,
    `actor_ent=0.1`; where too many differ it is the folder the group has to itself. A single
    group has an empty label.
    """
    groups: dict[tuple, list[Run]] = {}
    for run in runs:
        signature = sorted((key, str(value)) for key, value in _settings(run).items())
        groups.setdefault(tuple(signature), []).append(run)
    members = list(groups.values())
    labels = _labels(members) if len(members) > 1 else ['']
    return list(zip(labels, members, strict=True))


def _settings(run: Run) -> dict[str, Any]:
    settings = {key: x for key, x in run.config.items() if not _NOT_THE_AGENT.fullmatch(key)}
    place = (str(run.study.get(key) or '') for key in ('stage', 'set'))
    settings['stage'] = ' '.join(filter(None, place))
    if not run.study:
        # Without step and seed, `~/logdir/e4/3@100` as `~/logdir/e4`.
        path = run.started_from[0].rstrip('/')
        parent, last = os.path.split(path)
        settings['init.from'] = parent if last.isdigit() and parent else path
    return settings


def _labels(groups: Sequence[Sequence[Run]]) -> list[str]:
    settings = [_settings(group[0]) for group in groups]
    keys = sorted({key for one in settings for key in one})
    differing = [key for key in keys if len({str(one.get(key)) for one in settings}) > 1]
    if len(differing) <= _MOST_KEYS_IN_LABEL:
        return [
            ', '.join(
                str(one.get(key)) if key == 'stage' else f'{key}={one.get(key)}'
                for key in differing
                if one.get(key) not in (None, '')
            )
            or 'default'
            for one in settings
        ]
    # The folder below the root that all runs of a group share; a single run's is its own.
    folders = [os.path.commonpath([run.name for run in group]) for group in groups]
    if len(set(folders)) == len(folders) and all(folders):
        return folders
    return [f'{group[0].name} and its like' for group in groups]


def draw(
    runs: Sequence[Run], metric: str, *, window: int = 20, bins: int = 50
) -> tuple[Figure, list[dict[str, Any]], list[str]]:
    """A figure of runs that have the metric, with one panel per task in the order of their names.

    A line has `bins` points, each smoothed over `window` values, see `curves.on_grid`. Returns the
    figure, the rows of its table, and one line of text a task and setting.
    """
    tasks = sorted({run.task for run in runs})
    width, height = (6.4, 4.4) if len(tasks) == 1 else (4.6, 3.7)
    figure, axes = plotting.new_grid(len(tasks), _COLUMNS, width=width, height=height)
    rows: list[dict[str, Any]] = []
    lines: list[str] = []
    for ax, task in zip(axes, tasks, strict=True):
        members = [run for run in runs if run.task == task]
        end = max(max(run.end for run in members), 1)
        plotting.style_axis(ax, title=task, ylabel=text.metric_label(metric), end=end)
        settings = by_setting(members)
        for i, (label, group) in enumerate(settings):
            color = plotting.COLORS[i % len(plotting.COLORS)]
            style = ('-', '--', '-.')[i // len(plotting.COLORS) % 3]
            if len(settings) == len(group) == 1 and window > 1:
                # A lone run has no band: its episodes as faint dots show how far they spread.
                x = group[0].series[metric]
                size = 9 if len(x) < 200 else 5 if len(x) < 2000 else 2
                dots: dict[str, Any] = {'s': size, 'color': color, 'alpha': 0.3, 'linewidths': 0}
                ax.scatter(x.steps, x.values, label='an episode', **dots)
            # Short runs of one setting keep their detail beside long ones of another.
            grid = curves.frame_grid(max(max(run.end for run in group), 1), bins)
            found = stack(group, metric, grid, window)
            name = _legend(label, metric, len(group), window)
            line = plotting.Line('', grid, found, color, style, name)
            rows += plotting.draw_line(ax, line, {'task': task, 'setting': label, 'metric': metric})
            lines.append(_summary(f'{task}, {label}' if label else task, group, metric, window))
        _draw_random(ax, members, metric)
        plotting.draw_legend(ax)
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


def _legend(label: str, metric: str, n: int, window: int) -> str:
    if label:
        return f'{label}: n = {n}'
    kind = 'episodes' if metric.startswith('train_') else 'values'
    alone = f'smoothed over {window} {kind}' if window > 1 else 'one run'
    return f'{"mean over seeds, 95 % band" if n > 1 else alone}, n = {n}'


def _summary(name: str, runs: Sequence[Run], metric: str, window: int) -> str:
    """One line: who is in the group, how far they are, and the last values of their curves."""
    # As on a grid of no spacing: the last values alone.
    ends = [run.series[metric].on_grid(np.full(2, run.end), window)[1] for run in runs]
    done = sum(run.done for run in runs)
    seeds = ', '.join(map(str, sorted(run.seed for run in runs)))
    frames = sorted({text.short_frames(run.end) for run in runs})
    reach = ' to '.join(dict.fromkeys((frames[0], frames[-1])))
    values = ' '.join(text.short(value, 4) for value in ends)
    plural = 's' * (len(runs) > 1)
    return (
        f'{name}: {len(runs)} run{plural} (seed{plural} {seeds}), {done} finished, '
        f'{reach} frames, last {metric}: {values}'
    )
