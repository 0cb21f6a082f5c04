"""What the report says of a study's questions: sentences, tables and their method."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from dreamerv2.analysis import answers, scores
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


def verdicts(stage: str, set_name: str, answer: Answer) -> list[dict[str, str]]:
    """The plain sentence of each headline, its numbers, and what it decided, if anything."""
    found = []
    for headline in answer.headlines:
        one = headline.together
        numbers = (
            f'{one.kind.capitalize()}, {one.name}: {one.numbers} '
            f'({short(one.agent)} against {short(one.baseline)}, {one.runs}).'
        )
        found.append(
            {
                'sentence': tied(plain_sentence(stage, set_name, headline)),
                'numbers': tied(numbers) if one.answered else '',
                'decided': one.decided,
            }
        )
    return found


def question_sets(data: Study, stage: str, found: Answers) -> list[dict[str, Any]]:
    """Everything about one question but its figures, set by set."""
    sets = []
    for name in data.plan.sets:
        answer = found.get((stage, name))
        one = {
            'name': name,
            'trained': f'{STAGES[stage].done} '.lstrip(),
            'levels': data.plan.levels_of(stage, name),
            'answered': answer is not None,
        }
        if answer is not None:
            one |= {
                'verdicts': verdicts(stage, name, answer),
                'background': _background(answer),
                'tables': [*_without_tables(answer), _level_table(answer)],
                'measures': _transfer_table(data, name) if stage == 'transfer' else None,
            }
        sets.append(one)
    return sets


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


def _background(answer: Answer) -> list[str]:
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


def _without_tables(answer: Answer) -> list[Table]:
    """Each headline with any one level left out; none where there is no level to leave out."""
    levels = dict.fromkeys(one.name for x in answer.headlines for one in x.without)
    if not levels:
        return []
    cells = [{one.name: one.numbers for one in x.without} for x in answer.headlines]
    rows = [
        ('none', *(x.together.numbers for x in answer.headlines)),
        *((level, *(column.get(level, 'not in it') for column in cells)) for level in levels),
    ]
    head = ('level left out', *(x.together.measure for x in answer.headlines))
    return [Table(f'{answer.question}: one level left out', head, rows)]


def _level_table(answer: Answer) -> Table:
    # The verdict stands early, where a phone shows it without scrolling.
    head = ('level', 'measure', 'verdict', _ESTIMATE, 'agents', 'baselines', 'n')
    rows = []
    for x in answer.levels:
        numbers = x.numbers if x.answered else x.reason
        means = _known(x.agent), _known(x.baseline)
        rows.append((x.label, x.measure, x, numbers, *means, x.runs.removeprefix('n = ')))
    return Table(answer.question, head, rows)


def _transfer_table(data: Study, set_name: str) -> Table:
    head = (
        'level',
        'jump-start [95 % interval]',
        'threshold',
        'agents: frames [95 % interval]',
        'baselines: frames [95 % interval]',
    )
    rows = []
    for x in answers.transfer_measures(data, set_name):
        frames = tied(str(x.agent)), tied(str(x.baseline))
        rows.append((x.level, x.jump_start.numbers, _known(x.threshold), *frames))
    return Table(f'Jump-start and frames to a threshold, {set_name}', head, rows)


def _known(value: float) -> str:
    return short(value) if math.isfinite(value) else '?'
