"""What agents have lost on the levels of their set since they were trained further."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib import colormaps

from dreamerv2.analysis import curves, plotting, study, text
from dreamerv2.analysis.figures import Drawn, Pages, Smooth
from dreamerv2.analysis.figures.transfer_matrix import (
    draw_cell,
    evaluated,
    matrix_size,
    style_matrix,
)
from dreamerv2.analysis.scores import MEASURES
from dreamerv2.analysis.study import Study
from dreamerv2.studies.definition import STAGES

CAPTION = (
    'Forgetting: each finished agent is evaluated on the levels of its pre-training set, and so '
    'was the pre-trained agent of the same seed that it began from, each with 10 episodes a level '
    'and actions drawn as in training. A cell is the mean over seeds of after less before: below 0 '
    '(red) is lost. Rows: the level trained on afterwards; columns: the level evaluated; framed: '
    'they are the same. The strongest color is a change of the return as large as from the random '
    'policy to the baseline at T (gray: not known), or of a share by 1.'
)
QUESTION = 'finetune'
_COLORS = colormaps['RdBu']
_WIDEST = 12.5  # inches of panels beside each other


class Cell(NamedTuple):
    """One measure before and after training on `trained`, played on `level`: `[S]` each.

    A value is the mean over the episodes of one evaluation, NaN where a seed has none. `scale` is
    the change that has the strongest color; NaN where not known.
    """

    trained: str
    level: str
    measure: str
    before: np.ndarray
    after: np.ndarray
    scale: float

    @property
    def change(self) -> np.ndarray:
        """After less before `[S]`, of seeds that have both."""
        return self.after - self.before

    @property
    def mean(self) -> float:
        """Mean change over seeds, NaN without any."""
        return float(curves.seed_mean(self.change)[0])

    @property
    def n(self) -> int:
        """The number of seeds that have both."""
        return int(np.isfinite(self.change).sum())

    @property
    def color(self) -> tuple[float, ...]:
        """Red below 0, blue above, gray where the scale is not known."""
        share = float(np.clip(self.mean / self.scale, -1, 1))
        return _COLORS(0.5 + 0.42 * share) if math.isfinite(share) else (0.93, 0.93, 0.93, 1.0)


def draw(data: Study, smooth: Smooth) -> Pages:
    """One page per set and stage that starts from it, one panel per recorded measure."""
    later = [stage for stage in STAGES.values() if stage.of_set and not stage.on_set]
    started = [(x, y) for x in data.plan.sets for y in later if data.of_stage(y.name, x)]
    unknown = []
    for set_name, stage in started:
        found = cells(data, stage.name, set_name)
        if any(cell.n for cell in found):
            yield _page(data, stage.name, set_name, found)
        else:
            unknown.append(f'{stage.noun} {set_name}')
    if not started:
        yield f'forgetting: not drawn, no {" or ".join(stage.run for stage in later)}'
    if unknown:
        which = text.first_few(unknown)
        yield f'forgetting: {which} not drawn, not evaluated on the set before and after'


def cells(data: Study, stage: str, set_name: str) -> list[Cell]:
    """Every cell of a stage and set, also those without a value."""
    levels, found = data.plan.sets[set_name], []
    finished = study.level_values(data, ('baseline', '', levels), data.plan.frames)
    lead = curves.seed_mean(finished)[0] - study.random_returns(data, levels)
    for measure, metric in MEASURES.items():
        scales = np.where(lead > 0, lead, np.nan) if measure == 'return' else np.ones(len(levels))
        for trained in data.plan.levels_of(stage, set_name):
            places = data.plan.places(stage, set_name, [trained])
            before, after = (
                evaluated([data.runs.get(x) for x in listed if x], levels, metric)
                for listed in ([place.parent for place in places], places)
            )
            for level, *values in zip(levels, before, after, scales.tolist(), strict=True):
                found.append(Cell(trained, level, measure, *values))
    return found


def _page(data: Study, stage: str, set_name: str, found: Sequence[Cell]) -> Drawn:
    levels, trained = data.plan.sets[set_name], data.plan.levels_of(stage, set_name)
    panels = list(dict.fromkeys(cell.measure for cell in found if cell.n))
    width, height = matrix_size(levels, trained)
    width, height = max(width, 3.2), height + 0.3
    figure, axes = plotting.new_grid(len(panels), int(_WIDEST / width), width=width, height=height)
    for ax, measure in zip(axes, panels, strict=True):
        for cell in found:
            if cell.measure == measure:
                words = f'{"+" * (cell.mean > 0)}{text.short(cell.mean)}' if cell.n else ''
                at = levels.index(cell.level), trained.index(cell.trained)
                framed = cell.level == cell.trained
                draw_cell(ax, *at, words, cell.n, cell.color, framed=framed)
        style_matrix(ax, levels, trained)
        ax.set_xlabel('evaluated on', fontsize=plotting.FONT)
        ax.set_ylabel(STAGES[stage].done, fontsize=plotting.FONT)
        plotting.set_title(ax, f'{measure}, after − before')
    words = f'pre-training on {set_name}, then {STAGES[stage].noun}; hatched: not evaluated'
    # At the left, which a phone shows first.
    figure.suptitle(words, x=0.01, ha='left', fontsize=plotting.FONT - 1, color=plotting.GREY)
    wanted = data.plan.places('pretrain', set_name) + data.plan.places(stage, set_name, trained)
    rows = [_row(stage, set_name, cell) for cell in found]
    return Drawn(f'forgetting_{set_name}_{stage}', figure, rows, data.missing(wanted))


def _row(stage: str, set_name: str, cell: Cell) -> dict[str, Any]:
    of = {'stage': stage, 'set': set_name, 'trained_on': cell.trained, 'level': cell.level}
    both = np.isfinite(cell.change)
    sides = [float(curves.seed_mean(x[both])[0]) for x in (cell.before, cell.after)]
    low, high = map(float, curves.mean_band(cell.change))
    means = {'before': sides[0], 'after': sides[1], 'change': cell.mean, 'low': low, 'high': high}
    return {**of, 'measure': cell.measure, **means, 'n': cell.n}
