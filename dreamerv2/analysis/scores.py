"""The thesis's three questions as comparisons of arrays, with intervals, verdicts and sentences.

Shapes: `S` independent runs of the agents in question, `C` of their baselines, `L` levels; NaN
where a run is missing or has not got there. How two sides are compared stands in
`dreamerv2.analysis.verdicts`.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from dreamerv2.analysis import curves, verdicts
from dreamerv2.analysis.text import counts, short

MEASURES = {'return': 'train_return', 'progress': 'train_progress', 'completion': 'train_completed'}
METRICS = tuple(MEASURES.values())
# The reward of these levels can be collected by walking their loops until the clock ends (thesis,
# section 6.1, for 4-4): the return there does not tell how far an agent gets.
FARMABLE_LEVELS = frozenset({'4-4', '7-4', '8-4'})
# The lead of the baselines over the random policy is a scale if it is at least this many of its
# standard errors. An uncertain scale multiplies all scores of its level, and at 20 % it begins to
# favour the agents: they are divided by what the baselines happened to get.
SCALE_ERRORS = 5
_FARMED = 'its return can be farmed by walking a loop; see progress and completion'

Key = tuple[str, str, str]  # question, set, setting


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Agents in question against baselines in one measure, on one level or over several.

    `value` is the difference with its 95 % interval, or the `kind` ratio, which is shown as one
    and tested as a difference; NaN where there is no answer, or no interval. `adjusted` is the
    p-value corrected for its family, the number of comparisons that are judged together. `reason`
    says why there is no answer.
    """

    name: str
    measure: str
    contrast: verdicts.Contrast
    value: float
    low: float
    high: float
    adjusted: float
    kind: str = 'difference'
    family: int = 1
    reason: str = ''

    @property
    def agent(self) -> float:
        """Mean of the agents in question."""
        return float(self.contrast.agents.mean)

    @property
    def baseline(self) -> float:
        """Mean of their baselines."""
        return float(self.contrast.baselines.mean)

    @property
    def n(self) -> int:
        """Runs a level on the side that has fewer."""
        return int(self.contrast.n)

    @property
    def runs(self) -> str:
        """`n = 5`, or `n = 5 and 4` where the sides differ."""
        return counts(self.contrast.agents.n, self.contrast.baselines.n)

    @property
    def answered(self) -> bool:
        """Whether there are runs on both sides."""
        return math.isfinite(self.value)

    @property
    def verdict(self) -> str:
        """`better`, `worse`, `not distinguishable at this n` or `too few seeds`.

        With the reservation `indication only` below five seeds; `no answer yet` without runs.
        """
        if not self.answered:
            return 'no answer yet'
        return verdicts.word(float(self.contrast.difference), self.adjusted, self.n)

    @property
    def decided(self) -> str:
        """`better` or `worse`, empty where the verdict is neither."""
        word = self.verdict.partition(';')[0]
        return word if word in ('better', 'worse') else ''

    @property
    def label(self) -> str:
        """Its name, with a warning where it is a return that can be farmed."""
        farmed = self.measure == 'return' and self.name in FARMABLE_LEVELS
        return f'{self.name} (can be farmed)' if farmed else self.name

    @property
    def sentence(self) -> str:
        """The verdict with its numbers, or why there is none."""
        name = f'{self.measure}, {self.label}' if self.measure else self.label
        if not self.answered:
            return f'{name}: no answer yet, {self.reason or "no run on both sides has got there"}'
        return f'{name}: {self.verdict}, {self.kind} {self.numbers} ({self.means})'

    @property
    def means(self) -> str:
        """Both means and n: `1200 against 1000, n = 5`."""
        return f'{short(self.agent)} against {short(self.baseline)}, {self.runs}'

    @property
    def numbers(self) -> str:
        """The number with its interval, `+172 [85, 260]` or `×1.2 [1.1, 1.3]`."""
        if not self.answered:
            return 'none'
        mark = '×' if self.kind == 'ratio' else '+' * (self.value >= 0)
        if math.isfinite(self.low):
            return f'{mark}{short(self.value)} [{short(self.low)}, {short(self.high)}]'
        why = 'from a single run' if self.n < 2 else 'as runs do not vary'
        return f'{mark}{short(self.value)}, no interval {why}'


@dataclasses.dataclass(frozen=True)
class Headline:
    """The answer to one question in one measure over all levels that enter it.

    `without` is the same with each single level left out, named after that level. `left_out`
    says of levels that do not enter why.
    """

    together: Comparison
    levels: tuple[str, ...]
    without: tuple[Comparison, ...] = ()
    left_out: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def sentences(self) -> list[str]:
        """The verdict, what could have been seen, and what single levels have to do with it."""
        lines = [self.together.sentence]
        if self.together.answered:
            lines += [*self.equivalence, self.power, *self.single_levels]
        what = f'{self.together.measure} over all levels'
        return lines + [f'left out of {what}: {x}' for x in grouped(self.left_out)]

    @property
    def power(self) -> str:
        """Which difference would have been found, and what it takes to find one deviation."""
        one = self.together
        least = verdicts.detectable(one.contrast, one.family)
        corrected = f'80 % power after correction for {one.family} headlines'
        seeds = verdicts.seeds_needed(1.0, one.family)
        needed = f'one standard deviation between runs takes {seeds} seeds a side'
        if one.n < verdicts.FEWEST_SEEDS:
            return f'{one.runs} is too few for any verdict; with {corrected}, {needed}'
        if math.isnan(least):
            return f'runs do not vary, so that no power is known; with {corrected}, {needed}'
        return f'a difference from {short(least)} on is found with {corrected}; {needed}'

    @property
    def equivalence(self) -> list[str]:
        """A line where the sides are shown to be equivalent."""
        margin = f'±{verdicts.EQUIVALENT:g}'
        words = f'equivalent within {margin} (two one-sided tests, corrected likewise)'
        return [words] * verdicts.equivalent(self.together.contrast, self.together.family)

    @property
    def single_levels(self) -> list[str]:
        """What the number is without each single level, and whether a verdict hangs on one."""
        if not self.without:
            return []
        numbers = '; '.join(f'without {x.name} {x.numbers}' for x in self.without)
        lines = [f'{self.together.kind} {numbers}']
        if self.together.decided:
            needed = [x.name for x in self.without if x.decided != self.together.decided]
            lines.append(
                f'the verdict does not hold without {" or without ".join(needed)}'
                if needed
                else 'the verdict holds whichever level is left out'
            )
        return lines


@dataclasses.dataclass(frozen=True)
class Answer:
    """The answer to one question for one set: a headline a measure, and every level by itself."""

    question: str
    headlines: tuple[Headline, ...]
    levels: tuple[Comparison, ...]

    def headline(self, measure: str = 'return') -> Headline:
        """The headline of one measure; raises StopIteration where it is not recorded."""
        return next(x for x in self.headlines if x.together.measure == measure)

    def level(self, name: str, measure: str = 'return') -> Comparison:
        """One level by itself; raises StopIteration where there is no such comparison."""
        return next(x for x in self.levels if (x.name, x.measure) == (name, measure))

    @property
    def sentences(self) -> list[str]:
        """The question, its answers over all levels, and level by level."""
        lines = [self.question]
        for headline in self.headlines:
            lines += headline.sentences
        return lines + [comparison.sentence for comparison in self.levels]


def difference(
    name: str, agents: np.ndarray, baselines: np.ndarray, *, measure: str = '', reason: str = ''
) -> Comparison:
    """Mean over levels of agents `[S, L]` minus baselines `[C, L]`, judged as if it were alone."""
    one = verdicts.contrast(agents, baselines)
    value, half = float(one.difference), float(one.half_width)
    low, high = value - half, value + half
    if measure in ('progress', 'completion'):  # shares differ by 1 at most
        low, high = max(low, -1.0), min(high, 1.0)
    return Comparison(name, measure, one, value, low, high, float(one.p), reason=reason)


def ratio(
    name: str, agents: np.ndarray, baselines: np.ndarray, *, measure: str = '', reason: str = ''
) -> Comparison:
    """As `difference`, shown as a ratio of the means where the baselines are clearly above 0."""
    one = difference(name, agents, baselines, measure=measure, reason=reason)
    value, low, high = verdicts.ratio(one.contrast)
    if math.isnan(low):
        return one
    return dataclasses.replace(one, kind='ratio', value=value, low=low, high=high)


def headline(
    measure: str,
    levels: Sequence[str],
    agents: np.ndarray,
    baselines: np.ndarray,
    left_out: Mapping[str, str],
    compare: Callable[..., Comparison] = difference,
) -> Headline:
    """One measure over the levels `[L]` that are not left out, by `difference` or `ratio`.

    Scores of agents `[S, L]` and baselines `[C, L]` are on a scale that makes levels comparable.
    """
    kept = [i for i, level in enumerate(levels) if level not in left_out]
    name = 'all levels' if len(kept) == len(levels) else f'{len(kept)} of {len(levels)} levels'
    if measure == 'return':
        name += ', normalised'
    reason = '; '.join(grouped(left_out)) or 'no level to compare on'

    def over(name: str, columns: Sequence[int]) -> Comparison:
        sides = agents[:, columns], baselines[:, columns]
        return compare(name, *sides, measure=measure, reason=reason)

    without = [over(levels[i], [j for j in kept if j != i]) for i in kept if len(kept) > 1]
    names = tuple(levels[i] for i in kept)
    return Headline(over(name, kept), names, tuple(without), dict(left_out))


def scales(
    levels: Sequence[str],
    finished: np.ndarray,
    random: np.ndarray,
    random_error: np.ndarray | float = 0.0,
) -> tuple[np.ndarray, dict[str, str]]:
    """Lead of the baselines over the random policy `[L]`, and why levels have no use for it.

    A level is left out of the normalised return if its return can be farmed, or if that lead is
    less than `SCALE_ERRORS` of its standard errors. The spread over seeds of a level with a
    single baseline is that of the others. `finished` are returns of the baselines at T `[C, L]`,
    `random` those of a random policy with their standard errors `[L]`.
    """
    doubt = np.broadcast_to(random_error, len(levels))
    tops, count = curves.seed_mean(finished)
    lead = tops - random
    freedom = int(np.maximum(count - 1, 0).sum())
    squares = np.nansum((finished - tops) ** 2, 0)
    pooled = math.sqrt(squares.sum() / freedom) if freedom else math.nan
    left_out: dict[str, str] = {}
    for i, level in enumerate(levels):
        spread = math.sqrt(squares[i] / (count[i] - 1)) if count[i] > 1 else pooled
        error = math.hypot(spread / math.sqrt(max(count[i], 1)), doubt[i])
        if level in FARMABLE_LEVELS:
            left_out[level] = _FARMED
        elif math.isnan(random[i] + doubt[i]):
            left_out[level] = 'what a random policy returns is not known'
        elif math.isnan(tops[i]):
            left_out[level] = 'no baseline has reached T'
        elif math.isnan(error):
            left_out[level] = 'a single baseline does not tell how sure its lead over random is'
        elif not (lead[i] > 0 and lead[i] >= SCALE_ERRORS * error):
            left_out[level] = (
                f'its baseline does not clearly beat random: {short(tops[i])} at T against '
                f'{short(random[i])}, a lead below {SCALE_ERRORS} standard errors of '
                f'{short(error)}'
            )
    return lead, left_out


def in_families(answers: Mapping[Key, Answer]) -> dict[Key, Answer]:
    """Answers by question, set and setting, with verdicts corrected for all that is asked (Holm).

    All headlines of a study are one family. The levels of one question, in all sets, settings and
    measures, are another. A headline without one level takes its place in that of the headlines.
    """
    headlines = [x.together for answer in answers.values() for x in answer.headlines]
    levels: dict[str, list[Comparison]] = {}
    for (question, *_), answer in answers.items():
        levels.setdefault(question, []).extend(answer.levels)
    judged = {}
    for key, answer in answers.items():
        own = tuple(
            dataclasses.replace(
                x,
                together=_judged(x.together, x.together, headlines),
                without=tuple(_judged(one, x.together, headlines) for one in x.without),
            )
            for x in answer.headlines
        )
        single = tuple(_judged(one, one, levels[key[0]]) for one in answer.levels)
        judged[key] = dataclasses.replace(answer, headlines=own, levels=single)
    return judged


def _judged(one: Comparison, member: Comparison, family: Sequence[Comparison]) -> Comparison:
    """A comparison in the place of a member of a family."""
    p = [x.contrast.p for x in family]
    size = max(int(np.isfinite(p).sum()), 1)
    p.remove(member.contrast.p)
    adjusted = verdicts.holm(np.array([one.contrast.p, *p], np.float64))[0]
    return dataclasses.replace(one, adjusted=float(adjusted), family=size)


def grouped(left_out: Mapping[str, str]) -> list[str]:
    """`3-1 3-2, reason` for levels that have one and the same reason."""
    by_reason: dict[str, list[str]] = {}
    for level, reason in left_out.items():
        by_reason.setdefault(reason, []).append(level)
    return [f'{" ".join(named)}, {reason}' for reason, named in by_reason.items()]
