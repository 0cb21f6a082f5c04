"""What the report says of a study's questions: sentences, tables and their method."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from dreamerv2.analysis import answers, curves, scores, study
from dreamerv2.analysis import verdicts as judged
from dreamerv2.analysis.scores import Answer, Headline
from dreamerv2.analysis.study import Study
from dreamerv2.analysis.text import short, tied
from dreamerv2.studies.definition import STAGES

Answers = Mapping[tuple[str, str], Answer]

_ESTIMATE = 'difference or ratio [95 % interval]'

METHOD = (
    'A run counts as one observation, with its mean over levels; so do all runs that began from '
    'one pre-trained agent. A verdict takes Welch’s t-test on these numbers at 5 % after Holm’s '
    'correction, and ranks that differ as well: all headlines of this study are one family, and so '
    'are all levels of one question. Intervals are 95 % t intervals of a single '
    'comparison and not corrected, so that one may leave out 0 where there is no verdict.',
    f'Fewer than {judged.FEWEST_SEEDS} seeds a side get an interval and no verdict, fewer than '
    f'{judged.ENOUGH_SEEDS} an indication only. “Not distinguishable” does not mean the same: '
    f'only where two one-sided tests show a difference below {judged.EQUIVALENT:g} is it called '
    'equivalent.',
    'Normalised return is 0 for the random policy and 1 for the baselines at T. Levels whose '
    'return can be farmed do not enter its headline, nor do levels on which the lead of the '
    f'baselines over random is below {scores.SCALE_ERRORS} of its standard errors. Progress '
    'and completion keep every level.',
)


class Table(NamedTuple):
    """A table of the report; a cell is text, or a comparison whose verdict is shown."""

    label: str
    head: Sequence[str]
    rows: Sequence[Sequence[Any]]


def plain_sentence(stage: str, set_name: str, headline: Headline) -> str:
    """One headline in words."""
    question = STAGES[stage].question
    assert question is not None, stage
    does, is_ = ('do', 'are') if question.several else ('does', 'is')
    other, one = question.others, headline.together
    start = f'{one.measure.capitalize()}: {question.agents.format(set_name)}'
    if not one.answered:
        return f'{start}: no answer yet, {one.reason}.'
    if one.n < judged.FEWEST_SEEDS:
        return f'{start} against {other}: {judged.TOO_FEW} for a verdict ({one.runs}).'
    if one.decided:
        claim = f'{start} {does} {one.decided} than {other}.'
    else:
        claim = f'{start} {is_} {judged.UNDECIDED} from {other}.'
    if one.n < judged.ENOUGH_SEEDS:
        claim += f' Indication only: {one.runs}, below {judged.ENOUGH_SEEDS} seeds.'
    return claim


def plain_sentences(found: Answers) -> list[str]:
    """All headlines of a study in words."""
    return [
        plain_sentence(*key, headline)
        for key, answer in found.items()
        for headline in answer.headlines
    ]


def tables_by_setting(studies: Mapping[str, Study], found: Mapping[str, Answers]) -> list[Table]:
    """What the runs of each setting have got to at T, and every headline."""
    reached: list[Sequence[Any]] = []
    headlines: list[Sequence[Any]] = []
    for setting, data in studies.items():
        places = filter(data.plan.is_compared, data.plan.all_places())
        for stage, name in dict.fromkeys((x.stage, x.set) for x in places):
            side = stage, name, data.plan.levels_of(stage, name)
            values = [study.level_values(data, side, data.plan.frames, x) for x in scores.METRICS]
            means = [_known(float(curves.seed_mean(x)[0].mean())) for x in values]
            n = len(data.of_stage(stage, name))
            reached.append((setting, f'{STAGES[stage].noun} {name}', *means, n))
        headlines += [(setting, *row) for row in headline_table(found[setting]).rows]
    head = ('setting', 'agents', *scores.MEASURES, 'runs')
    return [
        Table('Means at T by setting', head, reached),
        Table('Headlines by setting', ('setting', *headline_table({}).head), headlines),
    ]


def headline_table(found: Answers) -> Table:
    """Every headline with its numbers, and what it could have seen."""
    rows = []
    for (stage, set_name), answer in found.items():
        for headline in answer.headlines:
            one = headline.together
            numbers = one.numbers if one.answered else ''
            means = _known(one.agent), _known(one.baseline)
            count = len(headline.levels), one.runs.removeprefix('n = ')
            power = _known(one.adjusted), _known(judged.detectable(one.contrast, one.family))
            name = f'{STAGES[stage].noun} {set_name}'
            rows.append((name, one.measure, one, numbers, *means, *count, *power))
    means = 'agents’ mean', 'baselines’ mean'
    power = 'corrected p', 'detectable difference'
    head = ('agents', 'measure', 'verdict', _ESTIMATE, *means, 'levels', 'n', *power)
    return Table('All headlines', head, rows)


def background(answer: Answer) -> list[str]:
    """What each headline could have seen, and what it leaves out."""
    lines = []
    for headline in answer.headlines:
        measure = headline.together.measure.capitalize()
        if headline.together.answered:
            lines += [f'{measure}: {x}.' for x in (*headline.equivalence, headline.power)]
            if headline.together.decided:
                lines += [f'{measure}: {x}.' for x in headline.single_levels[1:]]
        lines += [f'{measure}, left out: {x}.' for x in scores.grouped(headline.left_out)]
    return [tied(line) for line in lines]


def tables(answer: Answer) -> list[Table]:
    """Each headline with any one level left out, where there are several; and all levels."""
    # The verdict stands early, where a phone shows it without scrolling.
    head = ('level', 'measure', 'verdict', _ESTIMATE, 'agents', 'baselines', 'n')
    single: list[Sequence[Any]] = []
    for x in answer.levels:
        numbers = x.numbers if x.answered else x.reason
        means = _known(x.agent), _known(x.baseline)
        single.append((x.label, x.measure, x, numbers, *means, x.runs.removeprefix('n = ')))
    of_levels = Table(answer.question, head, single)
    levels = dict.fromkeys(one.name for x in answer.headlines for one in x.without)
    if not levels:
        return [of_levels]
    cells = [{one.name: one.numbers for one in x.without} for x in answer.headlines]
    rows = [
        ('none', *(x.together.numbers for x in answer.headlines)),
        *((level, *(column.get(level, 'not in it') for column in cells)) for level in levels),
    ]
    measures = ('level left out', *(x.together.measure for x in answer.headlines))
    return [Table(f'{answer.question}: one level left out', measures, rows), of_levels]


def transfer_table(data: Study, set_name: str) -> Table:
    interval = '[95 % interval]'
    reached = f'agents: frames {interval}', f'baselines: frames {interval}'
    head = ('level', f'jump-start {interval}', 'threshold', *reached)
    rows = []
    for x in answers.transfer_measures(data, set_name):
        frames = tied(str(x.agent)), tied(str(x.baseline))
        rows.append((x.level, x.jump_start.numbers, _known(x.threshold), *frames))
    return Table(f'Jump-start and frames to a threshold, {set_name}', head, rows)


def _known(value: float) -> str:
    return short(value) if math.isfinite(value) else '?'
