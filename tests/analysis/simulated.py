"""Simulated runs whose truth is known, and how often verdicts and intervals get it wrong.

    PYTHONPATH=. python tests/analysis/simulated.py [REPEATS]

prints the tables of experiments/results/statistics.md for the package that is found, an older one
too.
"""

import sys

import numpy as np
from scipy import special

from dreamerv2.analysis import scores, verdicts

REPEATS = 4000
KINDS = ('normal', 'skewed', 'lognormal', 'rare')
# (levels, correlation between the levels of a baseline's row): single levels, parents against
# parents, and multi-level runs against an independent run a level.
SHAPES = {'1 level': (1, 0.0), '4 levels': (4, 0.0), '10 levels': (10, 0.0), 'parents': (4, 0.7)}


def draw(rng, kind, repeats, runs, levels, shared=0.7):
    """Scores `[repeats, runs, levels]`; levels of a run are correlated by `shared`.

    `normal`; `skewed`, exponential; `lognormal`, of exp(z); these have mean 0. `rare`: one in five
    is 1, the others 0.
    """
    z = rng.normal(size=(repeats, runs, 1)) * np.sqrt(shared)
    z = z + rng.normal(size=(repeats, runs, levels)) * np.sqrt(1 - shared)
    if kind == 'normal':
        return z
    if kind == 'skewed':
        return -special.log_ndtr(-z) - 1
    if kind == 'lognormal':
        return np.exp(z) - np.exp(0.5)
    if kind == 'rare':
        return (z > special.ndtri(0.8)).astype(float)
    raise ValueError(kind)


def compare(kind, n, shape, *, repeats=REPEATS, other=None, spread=1.0, seed=0):
    """`repeats` contrasts between sides of equal means, n or `other` baselines a level."""
    levels, shared = SHAPES[shape]
    rng = np.random.default_rng([seed, n, levels])
    agents = spread * draw(rng, kind, repeats, n, levels)
    baselines = draw(rng, kind, repeats, other or n, levels, shared)
    return verdicts.contrast(agents, baselines)


def false_verdicts(one):
    """Share of contrasts that alone would get a verdict."""
    return float(np.mean(one.p <= verdicts.ALPHA))


def coverage(one, truth=0.0):
    """Share of 95 % intervals that cover the true difference; without an interval they do not."""
    return float(np.mean(np.abs(one.difference - truth) <= one.half_width))


def judge(agents, baselines):
    """(p, whether 0 is covered) of each of many comparisons `[R, S, L]`, `[R, C, L]`, alone.

    Of two runs a side p is 1. An older package, which has no p, is asked for its verdicts one by
    one: 0 stands for better and worse, 1 for anything else.
    """
    if hasattr(verdicts, 'contrast'):
        one = verdicts.contrast(agents, baselines)
        covered = np.abs(one.difference) <= one.half_width
        return np.where(one.n < verdicts.FEWEST_SEEDS, 1.0, one.p), covered
    found = [scores.difference('', *pair) for pair in zip(agents, baselines, strict=True)]
    p = [0.0 if one.verdict in ('better', 'worse') else 1.0 for one in found]
    return np.array(p), np.array([one.low <= 0 <= one.high for one in found])


def single(kind, n, shape, repeats, *, other=None, spread=1.0):
    """(False verdicts, covering intervals) of single comparisons in percent."""
    levels, shared = SHAPES[shape]
    rng = np.random.default_rng([1, n, levels])
    agents = spread * draw(rng, kind, repeats, n, levels)
    p, covered = judge(agents, draw(rng, kind, repeats, other or n, levels, shared))
    return 100 * np.mean(p <= 0.05), 100 * np.mean(covered)


def studies(kind, n, repeats):
    """False verdicts in studies of the thesis's shape in percent: (headlines, [three questions]).

    The share of studies with a false headline, and with a false level of each question. A question
    is asked of two sets in three measures that share half of their variance; an older package is
    asked for one measure.
    """
    rng = np.random.default_rng([2, n])
    headlines, single = [], []
    for sets in ((4, 10), (4, 4), (4, 4)):
        family = []
        for levels in sets:
            first = [draw(rng, kind, repeats, n, levels, shared) for shared in (0.7, 0.0)]
            measures = [first]
            for _ in range(2 if hasattr(verdicts, 'holm') else 0):
                more = [draw(rng, kind, repeats, n, levels, shared) for shared in (0.7, 0.0)]
                measures.append([np.sqrt(0.5) * (x + y) for x, y in zip(first, more, strict=True)])
            headlines += [judge(*pair)[0] for pair in measures]
            family += [
                judge(*(x[..., i : i + 1] for x in pair))[0]
                for pair in measures
                for i in range(levels)
            ]
        single.append(100 * np.mean(_any_verdict(family)))
    return 100 * np.mean(_any_verdict(headlines)), single


def _any_verdict(family):
    """Whether any of a family `[K, R]` gets a verdict `[R]`; Holm's first step is Bonferroni's."""
    return np.min(family, 0) * len(family) <= 0.05


def main(repeats):
    """Prints the tables as Markdown."""
    sizes = (2, 3, 5, 10)
    rows = [(f'{kind}, {shape}', kind, shape, {}) for kind in KINDS for shape in SHAPES]
    rows += [
        ('normal, agents spread three times as far', 'normal', '1 level', {'spread': 3.0}),
        ('the same with 20 baselines', 'normal', '1 level', {'spread': 3.0, 'other': 20}),
    ]
    print('| false verdicts; coverage (%) | n = 2 | 3 | 5 | 10 |\n| --- | --- | --- | --- | --- |')
    for name, kind, shape, options in rows:
        cells = [single(kind, n, shape, repeats, **options) for n in sizes]
        print(f'| {name} |', ' | '.join('{:.1f}; {:.1f}'.format(*cell) for cell in cells), '|')
    print('\n| studies with a false headline; level of question 1, 2, 3 (%) | n = 2 | 3 | 5 | 10 |')
    print('| --- | --- | --- | --- | --- |')
    for kind in KINDS[:2]:
        cells = [studies(kind, n, max(repeats // 2, 1)) for n in sizes]
        words = [f'{head:.1f}; ' + ', '.join(f'{x:.1f}' for x in single) for head, single in cells]
        print(f'| {kind} |', ' | '.join(words), '|')


if __name__ == '__main__':
    main(int(sys.argv[1]) if sys.argv[1:] else 1000)
