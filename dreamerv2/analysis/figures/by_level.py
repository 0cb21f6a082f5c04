"""Which levels gain and which lose: every level against its baseline at equal cost."""

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from dreamerv2.analysis import answers, plotting
from dreamerv2.analysis.figures import Drawn, Pages, Rows, Smooth
from dreamerv2.analysis.plotting import AGENT, BASELINE, GREY
from dreamerv2.analysis.scores import MEASURES, Answer, Comparison
from dreamerv2.analysis.study import Place, Study
from dreamerv2.analysis.verdicts import ENOUGH_SEEDS, FEWEST_SEEDS
from dreamerv2.studies.definition import STAGES

CAPTION = (
    'Level by level: fine-tuned and transferred agents less their baselines at equal cost (of '
    'transfer, means up to T), with 95 % intervals that are not corrected. Blue: gains; orange: '
    'loses; hollow: too few seeds for a verdict. A word behind n is the verdict, corrected for all '
    f'levels of the question; with fewer than {ENOUGH_SEEDS} seeds take it as a hint. Arrow: a '
    'value outside of the axis; wide intervals are cut off. What is 0 everywhere is left out.'
)


def draw(data: Study, smooth: Smooth) -> Pages:
    """One page per stage that starts from a set: one row per set, one column per measure."""
    found = answers.by_question(data)
    later = [stage for stage in STAGES.values() if stage.question and not stage.on_set]
    started = [stage.name for stage in later if any(stage.name == name for name, _ in found)]
    for stage in started:
        yield _page(data, stage, {name: x for (of, name), x in found.items() if of == stage})
    if not started:
        yield f'by_level: not drawn, no {" or ".join(stage.run for stage in later)}'


def interval(one: Comparison) -> tuple[float, float, float]:
    """Agents less baselines with its 95 % interval, also where `one` shows a ratio."""
    value, half = float(one.contrast.difference), float(one.contrast.half_width)
    most = math.inf if one.measure == 'return' else 1.0  # shares differ by 1 at most
    # Without the rounding of sides that are the same.
    return tuple(np.round([value, value - half, value + half], 9).clip(-most, most).tolist())


def _page(data: Study, stage: str, found: Mapping[str, Answer]) -> Drawn | str:
    panels = {}
    for set_name, measure in itertools.product(found, MEASURES):
        listed = [x for x in found[set_name].levels if x.measure == measure and x.answered]
        if any(x.agent or x.baseline for x in listed):
            panels[set_name, measure] = sorted(listed, key=lambda x: interval(x)[0])
    if not panels:
        return f'by_level_{stage}: not drawn, no {STAGES[stage].run} and baseline at equal cost'
    # In a study of several settings, verdicts are corrected for those of all settings: not here.
    judged = not any(run.study.get('setting') for run in data.runs.values())
    sets, measures = (list(dict.fromkeys(names)) for names in zip(*panels, strict=True))
    height = 0.26 * max(map(len, panels.values())) + 0.9
    figure, axes = plotting.new_figure(len(sets), len(measures), width=3.9, height=height)
    rows: Rows = []
    for ax, (set_name, measure) in zip(axes.flat, itertools.product(sets, measures), strict=True):
        listed = panels.get((set_name, measure), [])
        ax.set_visible(bool(listed))
        _draw_panel(ax, listed, judged)
        plotting.set_title(ax, f'{STAGES[stage].noun} {set_name}: {measure}')
        ax.set_xlabel(f'difference in {measure}', fontsize=plotting.FONT)
        for one in listed:
            of = {'stage': stage, 'set': set_name, 'level': one.name, 'measure': measure}
            numbers = dict(zip(('difference', 'low', 'high'), interval(one), strict=True))
            sides = {'agents': one.agent, 'baselines': one.baseline, 'n': one.n}
            verdict = {'corrected_p': one.adjusted, 'verdict': one.verdict}
            rows.append({**of, **numbers, **sides, **(verdict if judged else {})})
    wanted: list[Place] = []
    for set_name in found:
        levels = data.plan.levels_of(stage, set_name)
        wanted += data.plan.places(stage, set_name, levels)
        wanted += data.plan.places('baseline', '', levels)
    return Drawn(f'by_level_{stage}', figure, rows, data.missing(wanted))


def _draw_panel(ax: Axes, listed: Sequence[Comparison], judged: bool) -> None:
    """Levels from the one that loses most, at the bottom, to the one that gains most."""
    found = [(one, *interval(one)) for one in listed]
    # Not what can be farmed; and intervals of two or three runs can be many times the values.
    usable = [x[1:] for x in found if x[0].label == x[0].name] or [x[1:] for x in found]
    largest = max((abs(x[0]) for x in usable), default=0.0) or 1.0
    bound = 1.08 * min(np.nanmax(np.abs([*usable, (largest,) * 3])), 2 * largest)
    ax.axvline(0, color=GREY, linewidth=1.1, zorder=1)
    for y, (one, value, low, high) in enumerate(found):
        color = AGENT if value > 0 else BASELINE if value < 0 else GREY
        ax.plot([low, high], [y, y], color=color, linewidth=1.6, zorder=2)
        marker = 'o' if abs(value) <= bound else '>' if value > 0 else '<'
        face = color if one.n >= FEWEST_SEEDS else 'white'
        at = float(np.clip(value, -0.97 * bound, 0.97 * bound)), y
        ax.plot(*at, marker, color=color, markerfacecolor=face, markersize=6, zorder=3)
        words = one.runs + f', {one.decided}' * bool(judged and one.decided)
        style: dict[str, Any] = {'fontsize': plotting.FONT - 2, 'color': GREY, 'va': 'center'}
        ax.annotate(words, (1, y), (4, 0), ('axes fraction', 'data'), 'offset points', **style)
    plotting.style_axis(ax)
    ax.locator_params(axis='x', nbins=5)
    ax.set(xlim=(-bound, bound), ylim=(-0.6, max(len(listed), 1) - 0.4))
    ax.set_yticks(range(len(listed)), [one.label for one in listed])
