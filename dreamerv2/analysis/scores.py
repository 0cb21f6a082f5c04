"""The thesis's three questions as comparisons of arrays, with intervals and plain sentences.

Shapes: `S` seeds of the agents in question, `C` seeds of their baselines, `L` levels; NaN where a
run is missing or has not got there. Intervals are 95 % percentile bootstraps over seeds. A row of
the agents in question is drawn whole, because what comes from one pre-training run belongs
together; baselines are single runs and drawn level by level.
"""

import dataclasses
import math
from collections.abc import Callable, Sequence

import numpy as np

from dreamerv2.analysis import curves, verdicts
from dreamerv2.analysis.aggregates import Aggregate, Scaled
from dreamerv2.analysis.text import short

TOGETHER = 'all levels'
_NO_RUN = 'no run on both sides has got there'


@dataclasses.dataclass(frozen=True)
class Comparison:
    """One number with its 95 % interval: agents in question against baselines.

    `kind` is `difference` (nothing at 0) or `ratio` (nothing at 1). `agent` and `baseline` are
    the two means it is made of, `n` the number of runs on the side and level with the fewest.
    """

    name: str
    kind: str
    value: float
    low: float
    high: float
    agent: float
    baseline: float
    n: int

    @property
    def verdict(self) -> str:
        """`better`, `worse` or `not distinguishable at this n`: where the interval lies."""
        return verdicts.verdict(self.low, self.high, 0.0 if self.kind == 'difference' else 1.0)

    @property
    def sentence(self) -> str:
        """The verdict with its numbers, and `indication only` below five seeds."""
        if not math.isfinite(self.value):
            return f'{self.name}: no answer yet (n = {self.n})'
        return (
            f'{self.name}: {self.verdict}, {self.kind} {self.numbers} '
            f'({short(self.agent)} against {short(self.baseline)}, n = {self.n})'
            f'{verdicts.reservation(self.n)}'
        )

    @property
    def numbers(self) -> str:
        """The number with its interval, `+172 [85, 260]` or `×1.2 [1.1, 1.3]`."""
        if not math.isfinite(self.value):
            return 'none'
        mark = '×' if self.kind == 'ratio' else '+' * (self.value >= 0)
        if not math.isfinite(self.low):
            return f'{mark}{short(self.value)}, no interval from a single run'
        return f'{mark}{short(self.value)} [{short(self.low)}, {short(self.high)}]'


@dataclasses.dataclass(frozen=True)
class Answer:
    """The answer to one question for one set of levels.

    `levels` are single levels in their own unit, `together` is over those levels that could be
    put on one scale; `left_out` says of the others why. `cautions` tell what the numbers hide.
    `scaled` are the scores behind the `aggregate`, which is None until it is asked for.
    """

    question: str
    levels: tuple[Comparison, ...]
    together: Comparison
    left_out: tuple[str, ...]
    cautions: tuple[str, ...] = ()
    scaled: Scaled | None = dataclasses.field(default=None, compare=False)
    aggregate: Aggregate | None = None

    @property
    def sentences(self) -> list[str]:
        """The question, its answer over all levels and level by level, and what to mind."""
        lines = [self.question, self.together.sentence]
        if self.aggregate:
            lines += self.aggregate.sentences
        lines += [comparison.sentence for comparison in self.levels]
        lines += [f'left out of {TOGETHER}: {reason}' for reason in self.left_out]
        if self.aggregate:
            others = [x for x in self.aggregate.left_out if x not in self.left_out]
            lines += [f'left out of the interquartile mean: {reason}' for reason in others]
        return lines + [f'caution: {caution}' for caution in self.cautions]


def difference(
    name: str, agents: np.ndarray, baselines: np.ndarray, *, seed: int = 0
) -> Comparison:
    """Mean over levels of (mean of agents `[S, L]` - mean of baselines `[C, L]`)."""
    return _compare(name, 'difference', agents, baselines, seed)


def ratio(name: str, agents: np.ndarray, baselines: np.ndarray, *, seed: int = 0) -> Comparison:
    """Geometric mean over levels of (mean of agents `[S, L]` / mean of baselines `[C, L]`).

    NaN where a mean is not above 0, for which a ratio says nothing.
    """
    return _compare(name, 'ratio', agents, baselines, seed)


def compare_scores(
    question: str,
    levels: Sequence[str],
    agents: np.ndarray,
    baselines: np.ndarray,
    *,
    finished: np.ndarray,
    random: np.ndarray,
) -> Answer:
    """Questions 1 and 2: returns of agents against those of baselines, at frames of equal cost.

    Question 1 (thesis, section 4.1): multi-level agents at T against baselines at T / N.
    Question 2 (section 4.2): fine-tuned agents at t against baselines at t + T / M.
    Level by level in returns; over all levels in normalised scores, whose scale, random policy
    to baseline at T, is taken as fixed.

    Args:
        question: what is compared, in words.
        levels: names `[L]`.
        agents: returns `[S, L]`.
        baselines: returns `[C, L]`.
        finished: returns of the baselines at T `[C, L]`.
        random: returns of a random policy `[L]`.
    """
    single = _by_level(difference, levels, agents, baselines)
    scaled = scale_scores(levels, agents, baselines, finished=finished, random=random)
    name = f'{_together(len(scaled.levels), levels)}, normalised score'
    together = difference(name, scaled.agents, scaled.baselines)
    return Answer(question, single, together, scaled.left_out, scaled=scaled)


def scale_scores(
    levels: Sequence[str],
    agents: np.ndarray,
    baselines: np.ndarray,
    *,
    finished: np.ndarray,
    random: np.ndarray,
) -> Scaled:
    """Normalised scores on the levels that have a scale; arguments as of `compare_scores`."""
    scale, _ = curves.seed_mean(finished)
    counts = np.minimum(*(curves.seed_mean(values)[1] for values in (agents, baselines)))
    left_out = {level: _NO_RUN for level, n in zip(levels, counts, strict=True) if n == 0}
    for level, top, floor in zip(levels, scale, random, strict=True):
        if math.isnan(floor):
            left_out.setdefault(level, 'what a random policy returns is not known')
        elif math.isnan(top):
            left_out.setdefault(level, 'no baseline has reached T')
        elif top <= floor:
            left_out.setdefault(level, f'its baseline ({top:.4g}) does not beat random ({floor:g})')
    kept = [i for i, level in enumerate(levels) if level not in left_out]
    sides = [
        curves.normalised_score(values[:, kept], np.asarray(random)[kept], scale[kept])
        for values in (agents, baselines)
    ]
    return Scaled(tuple(levels[i] for i in kept), sides[0], sides[1], _reasons(left_out))


def compare_areas(
    question: str, levels: Sequence[str], agents: np.ndarray, baselines: np.ndarray
) -> Answer:
    """Question 3 (thesis, section 4.3): areas under the curves up to T, transferred to baseline.

    Args:
        question: what is compared, in words.
        levels: names `[L]`.
        agents: areas `[S, L]`, in any unit.
        baselines: areas `[C, L]`, in the same.
    """
    single = _by_level(ratio, levels, agents, baselines)
    left_out = _incomplete(levels, single)
    kept = [i for i, level in enumerate(levels) if level not in left_out]
    together = ratio(_together(len(kept), levels), agents[:, kept], baselines[:, kept])
    return Answer(question, single, together, _reasons(left_out))


def _compare(
    name: str, kind: str, agents: np.ndarray, baselines: np.ndarray, seed: int
) -> Comparison:
    agents = np.asarray(agents, np.float64)
    baselines = np.asarray(baselines, np.float64)
    levels = agents.shape[1]
    means = [curves.seed_mean(values) for values in (agents, baselines)]
    counts = np.concatenate([count for _, count in means])
    n = int(counts.min()) if levels else 0
    rng = np.random.default_rng(seed)
    drawn_agents = curves.resampled_means(agents, rng)
    drawn_baselines = [
        curves.resampled_means(baselines[:, i : i + 1], rng)[:, 0] for i in range(levels)
    ]
    value = _statistic(kind, means[0][0], means[1][0])
    low = high = math.nan
    if n >= 2 and math.isfinite(value):
        drawn = _statistic(kind, drawn_agents, np.stack(drawn_baselines, 1))
        low, high = (float(bound) for bound in curves.interval(drawn))
    agent, baseline = (float(np.mean(mean)) if levels else math.nan for mean, _ in means)
    return Comparison(name, kind, float(value), low, high, agent, baseline, n)


def _statistic(kind: str, agents: np.ndarray, baselines: np.ndarray) -> np.ndarray:
    """Over levels, the last axis: mean difference, or geometric mean of the ratios."""
    if agents.shape[-1] == 0:
        return np.full(agents.shape[:-1], np.nan)
    if kind == 'difference':
        return (agents - baselines).mean(-1)
    above = (agents > 0) & (baselines > 0)
    logs = np.log(np.where(above, agents, 1.0)) - np.log(np.where(above, baselines, 1.0))
    return np.exp(np.where(above, logs, np.nan).mean(-1))


def _by_level(
    compare: Callable[[str, np.ndarray, np.ndarray], Comparison],
    levels: Sequence[str],
    agents: np.ndarray,
    baselines: np.ndarray,
) -> tuple[Comparison, ...]:
    return tuple(
        compare(level, agents[:, i : i + 1], baselines[:, i : i + 1])
        for i, level in enumerate(levels)
    )


def _incomplete(levels: Sequence[str], single: Sequence[Comparison]) -> dict[str, str]:
    reasons = {}
    for level, comparison in zip(levels, single, strict=True):
        if comparison.n == 0:
            reasons[level] = _NO_RUN
        elif not math.isfinite(comparison.value):
            reasons[level] = 'a mean is not above 0'
    return reasons


def _together(kept: int, levels: Sequence[str]) -> str:
    return TOGETHER if kept == len(levels) else f'{kept} of {len(levels)} levels'


def _reasons(left_out: dict[str, str]) -> tuple[str, ...]:
    return tuple(f'{level}, {reason}' for level, reason in left_out.items())
