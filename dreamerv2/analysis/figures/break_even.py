"""From which total cost on agents are ahead of baselines that have cost the same."""

import dataclasses
import math
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes

from dreamerv2.analysis import curves, plotting, study, text, verdicts
from dreamerv2.analysis.figures import Drawn, Pages, Rows, Smooth
from dreamerv2.analysis.figures.figure7 import METRICS, levels_shown, mean_over_levels, name_levels
from dreamerv2.analysis.plotting import AGENT, COLORS, GREY
from dreamerv2.analysis.scores import MEASURES
from dreamerv2.analysis.study import Study
from dreamerv2.studies.definition import STAGES, Stage

CAPTION = (
    'Break-even: mean of the agents less mean of the baselines where all agents together have cost '
    'the same, from the curves of figure 7; above 0 the agents are ahead. Dot: the first point '
    'from which on they stay ahead to the end of the axis. Ring: from which on the 95 % interval '
    'stays above 0. The band is Welch’s t interval at each point by itself, not corrected for '
    'looking at many frames, so that a ring is no verdict; wide bands are cut off. Never: not on '
    'this axis. ?: not known, as runs have not got to its end, or as one run has no interval. '
    'T: the cost of pre-training. Farmed levels are left out of the mean return, as in figure 7.'
)
QUESTION = 'finetune'
CASES = {
    'one agent': STAGES['pretrain'],
    'pre-training, then fine-tuning': STAGES['finetune'],
    'transfer, pre-training not counted': STAGES['transfer'],
    'transfer, pre-training counted': dataclasses.replace(STAGES['transfer'], bears_parent=True),
}
_NAMES = {metric: measure for measure, metric in MEASURES.items()}


class Curve(NamedTuple):
    """Agents against baselines at each total cost in frames `[B]`; NaN where a side has no run."""

    cost: np.ndarray
    contrast: verdicts.Contrast

    @property
    def band(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Agents less baselines, and both ends of its 95 % interval, `[B]` each."""
        value, half = self.contrast.difference, self.contrast.half_width
        return value, value - half, value + half

    @property
    def ahead(self) -> tuple[float, float]:
        """Costs from which on the difference, and the lower end of its interval, stay above 0."""
        value, low, _ = self.band
        return stays_above(self.cost, value), stays_above(self.cost, low)


def stays_above(cost: np.ndarray, values: np.ndarray) -> float:
    """First cost `[B]` from which on values `[B]` stay above 0 to the last of them.

    Infinity where the last is not above 0, NaN where it is not known. Gaps say nothing.
    """
    known = np.flatnonzero(np.isfinite(values))
    if len(values) - 1 not in known:
        return math.nan
    below = np.flatnonzero(values <= 0)
    after = known[known > below[-1]] if len(below) else known
    return float(cost[after[0]]) if len(after) else math.inf


def draw(data: Study, smooth: Smooth) -> Pages:
    """One page per set that has agents, one row per case, one column per metric."""
    started = [name for name in data.plan.sets if any(x.set == name for x in data.runs)]
    for set_name in started:
        yield _page(data, set_name, smooth)
    if not started:
        yield 'break_even: not drawn, no pre-training run'


def curve(data: Study, set_name: str, stage: Stage, metric: str, smooth: Smooth) -> Curve:
    """The difference along the axis of total cost, `bins` points up to where one side is at T.

    Each side is at the frames that cost as much. Fine-tuned agents begin, at a cost of T, where the
    curve of their pre-training ends.
    """
    total, levels = data.plan.frames, data.plan.levels_of(stage.name, set_name)
    many, shown = len(levels), levels_shown(levels, metric)
    cost = curves.frame_grid(total * (1 if stage.on_set else many), smooth.bins)

    def means(of: Stage, name: str) -> np.ndarray:
        paid = of.cost(0.0, total, many)
        frames = (cost - paid) / (of.cost(1.0, total, many) - paid)
        stack = study.level_curves(data, (of.name, name, shown), frames[frames > 0], *how)
        early = np.full((len(stack), (frames <= 0).sum()), np.nan)
        return np.concatenate([early, mean_over_levels(stack)], 1)

    how = metric, smooth.window
    agents, baselines = means(stage, set_name), means(STAGES['baseline'], '')
    if stage.name == 'finetune':
        grid = curves.frame_grid(total, smooth.bins)
        stack = study.level_curves(data, (stage.parent, set_name, shown), grid, *how)
        # Every M-th point of figure 7 is on this axis.
        early = mean_over_levels(stack[..., many - 1 :: many])
        first = np.full((len(stack), len(cost)), np.nan)
        first[:, : early.shape[1]] = early
        agents = np.concatenate([first, agents])
    # A point is a comparison of its own, with a row for each run that has got there.
    return Curve(cost, verdicts.contrast(agents.T[..., None], baselines.T[..., None]))


def _page(data: Study, set_name: str, smooth: Smooth) -> Drawn | str:
    panels: dict[tuple[str, str], Curve] = {}
    wanted = data.plan.places('pretrain', set_name)
    for case, stage in CASES.items():
        if levels := data.plan.levels_of(stage.name, set_name):
            both = {(case, x): curve(data, set_name, stage, x, smooth) for x in METRICS}
            panels |= {key: x for key, x in both.items() if np.isfinite(x.band[0]).any()}
            wanted += data.plan.places('baseline', '', levels)
            wanted += () if stage.on_set else data.plan.places(stage.name, set_name, levels)
    name = f'break_even_{set_name}'
    if not panels:
        return f'{name}: not drawn, no agents of {set_name} have cost as much as baselines'
    columns = len({metric for _, metric in panels})
    figure, axes = plotting.new_grid(len(panels), columns, width=4.8, height=2.6)
    rows: Rows = []
    for ax, ((case, metric), found) in zip(axes, panels.items(), strict=True):
        levels = data.plan.levels_of(CASES[case].name, set_name)
        named = name_levels(levels, levels_shown(levels, metric))
        keys = {'set': set_name, 'case': case, 'levels': named, 'metric': metric}
        rows += _draw_curve(ax, found, keys)
        label, end = f'difference in {_NAMES[metric]}', float(found.cost[-1])
        plotting.style_axis(ax, title=f'{set_name}: {case}', ylabel=label, end=end)
        ax.set_xlabel(f'{ax.get_xlabel()} of all agents together', fontsize=plotting.FONT)
        n = text.counts(*(x.n.max() for x in (found.contrast.agents, found.contrast.baselines)))
        ahead, sure = map(text.reached, found.ahead)
        plotting.subtitle(ax, f'ahead from: {ahead}; interval above 0 from: {sure}; {named}, {n}')
        if CASES[case].bears_parent:
            bottom, top = ax.get_ylim()
            ax.set_ylim(bottom, top + 0.1 * (top - bottom))  # for the mark's name
            plotting.draw_mark(ax, data.plan.frames, 'T')
    plotting.figure_legend(figure)
    return Drawn(name, figure, rows, data.missing(wanted))


def _draw_curve(ax: Axes, found: Curve, keys: dict[str, Any]) -> Rows:
    """The difference with its band, the line at 0 and both marks; rows of the table."""
    value, low, high = found.band
    seen = np.append(value[np.isfinite(value)], 0.0)
    room = np.ptp(seen) / 2  # as in `plotting.draw_line`
    band = np.clip([low, high], seen.min() - room, seen.max() + room)
    ax.axhline(0, color=GREY, linewidth=1.1, zorder=1)
    ax.fill_between(found.cost, *band, color=AGENT, alpha=0.18, linewidth=0)
    marker = 'o' if len(seen) == 2 else ''
    ax.plot(found.cost, value, marker=marker, color=AGENT, label='agents less baselines')
    marks = zip(found.ahead, (5, 10), ('ahead', 'interval above 0'), strict=True)
    for cost, size, words in marks:
        if math.isfinite(cost):
            face = 'none' if size == 10 else COLORS[1]
            pen: dict[str, Any] = {'color': COLORS[1], 'markerfacecolor': face, 'zorder': 3}
            ax.plot(cost, 0, 'o', markersize=size, label=f'{words} from here on', **pen)
    ends = ['never' if math.isinf(x) else x for x in found.ahead]
    sides = found.contrast.agents, found.contrast.baselines
    columns = zip(*found[:1], *found.band, *(y for x in sides for y in (x.mean, x.n)), strict=True)
    names = 'cost', 'difference', 'low', 'high', 'agents', 'n', 'baselines', 'baselines_n'
    last = {'ahead_from': ends[0], 'interval_ahead_from': ends[1]}
    return [{**keys, **dict(zip(names, row, strict=True)), **last} for row in columns]
