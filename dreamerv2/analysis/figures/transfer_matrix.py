"""Training set against evaluated level: returns before and after training on the level itself."""

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from dreamerv2.analysis import curves, plotting, study, text
from dreamerv2.analysis.figures import Drawn, Smooth
from dreamerv2.analysis.scores import METRICS
from dreamerv2.analysis.study import Place, Study

CAPTION = 'Training set against evaluated level, before and after training on the level itself.'
NOTHING = 'nothing'
ZERO_SHOT, TRAINED = 'zero-shot', 'after training'
_COLORS = colormaps['Blues']
_DARKEST = 0.85


def draw(data: Study, smooth: Smooth) -> Iterator[Drawn | str]:
    """One page."""
    if any(place.stage != 'baseline' for place in data.runs):
        yield transfer_matrix(data)
    else:
        yield 'transfer_matrix: not drawn, no run but baselines'


@dataclasses.dataclass(frozen=True)
class Cell:
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
        return float(curves.seed_mean(self.values.reshape(-1, 1))[0][0])

    @property
    def n(self) -> int:
        """The number of seeds present."""
        return int(np.isfinite(self.values).sum())

    @property
    def shade(self) -> float:
        """0 to 1 for the colour: the normalised score, or the share itself."""
        value = self.score if self.metric == 'train_return' else self.mean
        return float(np.clip(value, 0, 1)) if math.isfinite(value) else math.nan


def cells(data: Study) -> list[Cell]:
    """Every cell of the matrix, also those without a run.

    Zero-shot are evaluations of pre-training runs, with the policy that plays in training; after
    training are the fine-tuning runs on the levels of the set, and the transfer runs on others, at
    T, by their training episodes.
    """
    levels = data.plan.all_levels
    random = study.random_returns(data, levels)
    found = []
    for metric in METRICS:
        untrained = [study.random_policy_on(data, level, metric) for level in levels]
        baselines = _trained(data, 'baseline', '', levels, metric)
        scale, _ = curves.seed_mean(_trained(data, 'baseline', '', levels, METRICS[0]))
        table = {
            (ZERO_SHOT, NOTHING): np.array([[x.mean if x else math.nan for x in untrained]]),
            (TRAINED, NOTHING): baselines,
        }
        for name, own in data.plan.sets.items():
            table[ZERO_SHOT, name] = _zero_shot(data, name, levels, metric)
            tuned, moved = (
                _trained(data, stage, name, levels, metric) for stage in ('finetune', 'transfer')
            )
            columns = [(tuned if level in own else moved)[:, i] for i, level in enumerate(levels)]
            table[TRAINED, name] = _stack(columns)
        for (when, name), values in table.items():
            for i, level in enumerate(levels):
                mean = curves.seed_mean(values[:, i : i + 1])[0][0]
                score = float(curves.normalised_score(mean, random[i], scale[i]))
                found.append(
                    Cell(
                        name,
                        level,
                        when,
                        metric,
                        values[:, i],
                        score if metric == METRICS[0] else math.nan,
                        level in data.plan.sets.get(name, ()),
                    )
                )
    return found


def transfer_matrix(data: Study) -> Drawn:
    """The matrix as heat maps: returns, and progress and completion where they are known."""
    found = cells(data)
    levels = data.plan.all_levels
    names = [NOTHING, *data.plan.sets]
    metrics = [
        metric
        for metric in METRICS
        if metric == METRICS[0] or any(cell.n for cell in found if cell.metric == metric)
    ]
    width = max(0.66 * len(levels) + 1.4, 5.0)
    figure, axes = plotting.new_figure(
        2 * len(metrics), 1, width=width, height=0.42 * len(names) + 0.75
    )
    panels = [(metric, when) for metric in metrics for when in (ZERO_SHOT, TRAINED)]
    for ax, (metric, when) in zip(axes[:, 0], panels, strict=True):
        shown = {
            (cell.training, cell.level): cell
            for cell in found
            if cell.metric == metric and cell.when == when
        }
        _draw_panel(ax, names, levels, shown)
        title = f'{text.metric_label(metric).replace("training ", "")}, {when}'
        ax.set_title(title, loc='left', fontsize=plotting.FONT + 1, fontweight='bold')
    figure.supxlabel(
        'rows: what the agent was trained on before; framed: the level was among it; '
        'hatched: no run, or not evaluated with actions drawn as in training.\n'
        'Colour of returns: 0, as a random policy, to 1, as the baseline at T; others: 0 to 1.',
        fontsize=plotting.FONT - 2,
        color=plotting.GREY,
    )
    return Drawn('transfer_matrix', figure, _rows(found), _missing(data))


def _zero_shot(data: Study, set_name: str, levels: Sequence[str], metric: str) -> np.ndarray:
    """Means over episodes of each pre-training run's evaluation `[S, L]`.

    Those of the most probable action have no place beside training, which draws actions: NaN.
    """
    rows = [
        [
            found.values.mean() if (found := run.evaluations.get(f'{metric}/{level}')) else math.nan
            for level in levels
        ]
        for run in data.present(data.plan.places('pretrain', set_name))
    ]
    return np.array(rows, np.float64).reshape(len(rows), len(levels))


def _trained(
    data: Study, stage: str, set_name: str, levels: Sequence[str], metric: str
) -> np.ndarray:
    """Values of a stage's runs at T `[S, L]`."""
    return study.level_values(data, stage, set_name, levels, data.plan.frames, metric=metric)


def _stack(columns: Sequence[np.ndarray]) -> np.ndarray:
    """Columns of different length side by side `[S, L]`, NaN below the shorter ones."""
    stacked = np.full((max(map(len, columns), default=0), len(columns)), np.nan)
    for i, column in enumerate(columns):
        stacked[: len(column), i] = column
    return stacked


def _draw_panel(
    ax: Axes,
    names: Sequence[str],
    levels: Sequence[str],
    shown: Mapping[tuple[str, str], Cell],
) -> None:
    for y, name in enumerate(names):
        for x, level in enumerate(levels):
            _draw_cell(ax, x, y, shown[name, level])
    # Frames last, so that no neighbour covers them.
    for y, name in enumerate(names):
        for x, level in enumerate(levels):
            if shown[name, level].seen:
                ax.add_patch(
                    Rectangle((x - 0.46, y - 0.45), 0.92, 0.9, fill=False, ec='#D55E00', lw=1.6)
                )
    ax.set_xlim(-0.5, max(len(levels), 1) - 0.5)
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.set_xticks(range(len(levels)), levels)
    ax.set_yticks(range(len(names)), names)
    ax.tick_params(labelsize=plotting.FONT - 1, length=0)
    ax.spines[:].set_visible(False)


def _draw_cell(ax: Axes, x: int, y: int, cell: Cell) -> None:
    if not cell.n:
        box = Rectangle((x - 0.48, y - 0.46), 0.96, 0.92, fc='white', ec='#D4D4D4', lw=0)
        box.set_hatch('////')
        ax.add_patch(box)
        return
    known = math.isfinite(cell.shade)
    color = _COLORS(_DARKEST * cell.shade) if known else (0.95, 0.95, 0.95, 1.0)
    ax.add_patch(Rectangle((x - 0.5, y - 0.5), 1, 1, fc=color, ec='white', lw=1.5))
    # The random policy is no run.
    words = text.short(cell.mean)
    if (cell.when, cell.training) != (ZERO_SHOT, NOTHING):
        words += f'\nn = {cell.n}'
    dark = _luminance(color) < 0.18
    ax.text(
        x,
        y,
        words,
        ha='center',
        va='center',
        fontsize=plotting.FONT - 2,
        color='white' if dark else 'black',
        linespacing=1.1,
    )


def _luminance(color: Sequence[float]) -> float:
    """Relative luminance of an sRGB colour from 0 to 1; below 0.18 white words stand out more."""
    parts = np.array(color[:3])
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def _rows(found: Sequence[Cell]) -> list[dict[str, Any]]:
    rows = []
    for cell in found:
        low, high = curves.mean_band(cell.values.reshape(-1, 1))
        random = (cell.when, cell.training) == (ZERO_SHOT, NOTHING)
        rows.append(
            {
                'training': cell.training,
                'level': cell.level,
                'when': cell.when,
                'metric': cell.metric,
                'mean': cell.mean,
                'low': float(low[0]),
                'high': float(high[0]),
                'n': '' if random else cell.n,
                'normalised': cell.score,
                'seen': int(cell.seen),
            }
        )
    return rows


def _missing(data: Study) -> list[Place]:
    plan = data.plan
    wanted = plan.places('baseline', '', plan.all_levels)
    for name in plan.sets:
        wanted += plan.places('pretrain', name)
        for stage in ('finetune', 'transfer'):
            wanted += plan.places(stage, name, plan.levels_of(stage, name))
    return data.missing(wanted)
