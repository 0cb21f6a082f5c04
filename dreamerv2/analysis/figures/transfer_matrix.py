"""Training set against evaluated level: returns before and after training on the level itself."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from dreamerv2.analysis import curves, plotting, study, text
from dreamerv2.analysis.figures import Drawn, Pages, Rows, Smooth
from dreamerv2.analysis.scores import METRICS
from dreamerv2.analysis.study import Study
from dreamerv2.analysis.table import Run

CAPTION = 'Training set against evaluated level, before and after training on the level itself.'
NOTHING = 'nothing'
ZERO_SHOT, TRAINED = 'zero-shot', 'after training'
_COLORS = colormaps['Blues']
_DARKEST = 0.85


def draw(data: Study, smooth: Smooth) -> Pages:
    """One page of heat maps: returns, and progress and completion where they are known."""
    if all(place.stage == 'baseline' for place in data.runs):
        yield 'transfer_matrix: not drawn, no run but baselines'
        return
    found = cells(data)
    plan = data.plan
    levels, names = plan.all_levels, [NOTHING, *plan.sets]
    known = {METRICS[0], *(cell.metric for cell in found if cell.n)}
    panels = [(x, when) for x in METRICS if x in known for when in (ZERO_SHOT, TRAINED)]
    width, height = matrix_size(levels, names)
    figure, axes = plotting.new_figure(len(panels), 1, width=max(width, 5.0), height=height)
    for ax, (metric, when) in zip(axes[:, 0], panels, strict=True):
        for cell in found:
            if (cell.metric, cell.when) == (metric, when):
                _draw_cell(ax, levels.index(cell.level), names.index(cell.training), cell)
        style_matrix(ax, levels, names)
        label = text.metric_label(metric).replace('training ', '')
        plotting.set_title(ax, f'{label}, {when}')
    words = (
        'rows: what the agent was trained on before; framed: the level was among it; '
        'hatched: no run, or not evaluated with actions drawn as in training.\n'
        'Colour of returns: 0, as a random policy, to 1, as the baseline at T; others: 0 to 1.'
    )
    figure.supxlabel(words, fontsize=plotting.FONT - 2, color=plotting.GREY)
    wanted = plan.places('baseline', '', levels)
    for name in plan.sets:
        wanted += plan.places('pretrain', name)
        for stage in ('finetune', 'transfer'):
            wanted += plan.places(stage, name, plan.levels_of(stage, name))
    yield Drawn('transfer_matrix', figure, _rows(found), data.missing(wanted))


class Cell(NamedTuple):
    """One metric of agents trained on a set, on one level: a value a seed `[S]`, NaN if missing.

    `training` is the name of a set, or `nothing` for the random policy (zero-shot) and for
    baselines (after training). `score` is the normalised score of the mean, for returns alone.
    `seen` tells whether the level is one of the set.
    """

    training: str
    level: str
    when: str
    metric: str
    values: np.ndarray
    score: float
    seen: bool

    @property
    def mean(self) -> float:
        """Mean over the seeds present."""
        return float(curves.seed_mean(self.values)[0])

    @property
    def n(self) -> int:
        """The number of seeds present."""
        return int(np.isfinite(self.values).sum())

    @property
    def of_random(self) -> bool:
        """Whether it is the random policy, which is no run."""
        return (self.when, self.training) == (ZERO_SHOT, NOTHING)

    @property
    def shade(self) -> float:
        """0 to 1 for the colour: the normalised score, or the share itself."""
        value = self.score if self.metric == 'train_return' else self.mean
        return float(np.clip(value, 0, 1))


def cells(data: Study) -> list[Cell]:
    """Every cell of the matrix, also those without a run.

    Zero-shot are evaluations of pre-training runs, with the policy that plays in training; after
    training are the fine-tuning runs on the levels of the set, and the transfer runs on others, at
    T, by their training episodes.
    """
    levels = data.plan.all_levels
    random = study.random_returns(data, levels)
    baselines = 'baseline', '', levels
    tops, _ = curves.seed_mean(study.level_values(data, baselines, data.plan.frames))
    found = []
    for metric in METRICS:
        by_row: dict[tuple[str, str], Sequence[np.ndarray] | np.ndarray] = {
            (ZERO_SHOT, NOTHING): study.random_returns(data, levels, metric)[:, None],
            (TRAINED, NOTHING): _trained(data, baselines, metric),
        }
        for name, own in data.plan.sets.items():
            parents = data.present(data.plan.places('pretrain', name))
            by_row[ZERO_SHOT, name] = evaluated(parents, levels, metric)
            tuned = _trained(data, ('finetune', name, levels), metric)
            moved = _trained(data, ('transfer', name, levels), metric)
            later = zip(levels, tuned, moved, strict=True)
            by_row[TRAINED, name] = [x if level in own else y for level, x, y in later]
        for (when, name), row in by_row.items():
            for level, values, floor, top in zip(levels, row, random, tops, strict=True):
                mean, seen = curves.seed_mean(values)[0], level in data.plan.sets.get(name, ())
                of_return = float(curves.normalised_score(mean, floor, top))
                score = of_return if metric == METRICS[0] else math.nan
                found.append(Cell(name, level, when, metric, values, score, seen))
    return found


def evaluated(runs: Sequence[Run | None], levels: Sequence[str], metric: str) -> list[np.ndarray]:
    """Means over episodes of each run's evaluations on each level, `[S]` each; NaN without one.

    Those of the most probable action have no place beside training, which draws actions: NaN.
    """
    keys = [f'{metric}/{level}' for level in levels]
    found = [[run.evaluations.get(key) if run else None for run in runs] for key in keys]
    return [np.array([x.values.mean() if x else math.nan for x in listed]) for listed in found]


def _trained(data: Study, side: study.Side, metric: str) -> np.ndarray:
    """Values of one side's runs at T `[L, S]`."""
    return study.level_values(data, side, data.plan.frames, metric).T


def _draw_cell(ax: Axes, x: int, y: int, cell: Cell) -> None:
    known = math.isfinite(cell.shade)
    color = _COLORS(_DARKEST * cell.shade) if known else (0.95, 0.95, 0.95, 1.0)
    n = 0 if cell.of_random else cell.n
    draw_cell(ax, x, y, text.short(cell.mean) if cell.n else '', n, color, framed=cell.seen)


def matrix_size(columns: Sequence[str], rows: Sequence[str]) -> tuple[float, float]:
    """Width and height in inches of a panel of cells."""
    return 0.66 * len(columns) + 1.4, 0.42 * len(rows) + 0.75


def style_matrix(ax: Axes, columns: Sequence[str], rows: Sequence[str]) -> None:
    """Names of columns and rows around a panel of cells."""
    ax.set(xlim=(-0.5, max(len(columns), 1) - 0.5), ylim=(len(rows) - 0.5, -0.5))
    ax.set_xticks(range(len(columns)), columns)
    ax.set_yticks(range(len(rows)), rows)
    ax.tick_params(labelsize=plotting.FONT - 1, length=0)
    ax.spines[:].set_visible(False)


def draw_cell(
    ax: Axes, x: int, y: int, words: str, n: int, color: Sequence[float], *, framed: bool
) -> None:
    """A cell with words, and below them n where it is above 0; hatched without words."""
    if framed:
        # Above the boxes, so that no neighbour covers it.
        frame: dict[str, Any] = {'fill': False, 'ec': '#D55E00', 'lw': 1.6, 'zorder': 1.5}
        ax.add_patch(Rectangle((x - 0.46, y - 0.45), 0.92, 0.9, **frame))
    if not words:
        box = Rectangle((x - 0.48, y - 0.46), 0.96, 0.92, fc='white', ec='#D4D4D4', lw=0)
        box.set_hatch('////')
        ax.add_patch(box)
        return
    ax.add_patch(Rectangle((x - 0.5, y - 0.5), 1, 1, fc=color, ec='white', lw=1.5))
    style: dict[str, Any] = {'fontsize': plotting.FONT - 2, 'linespacing': 1.1}
    style['color'] = 'white' if _luminance(color) < 0.18 else 'black'
    ax.text(x, y, f'{words}\nn = {n}' if n else words, ha='center', va='center', **style)


def _luminance(color: Sequence[float]) -> float:
    """Relative luminance of an sRGB colour from 0 to 1; below 0.18 white words stand out more."""
    parts = np.array(color[:3])
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def _rows(found: Sequence[Cell]) -> Rows:
    rows = []
    for cell in found:
        low, high = map(float, curves.mean_band(cell.values))
        of = {'training': cell.training, 'level': cell.level, 'when': cell.when}
        mean = {'metric': cell.metric, 'mean': cell.mean, 'low': low, 'high': high}
        n = {'n': '' if cell.of_random else cell.n}
        rows.append({**of, **mean, **n, 'normalised': cell.score, 'seen': int(cell.seen)})
    return rows
