"""The three research questions as sections of the report: sentences, tables and cautions."""

import math

from dreamerv2.analysis import answers, verdicts
from dreamerv2.analysis.markup import Markup, element, join, listing, names, table
from dreamerv2.analysis.scores import Answer, Comparison
from dreamerv2.analysis.study import Study
from dreamerv2.analysis.text import short, tied

Answers = dict[tuple[str, str], Answer]

# Stage of the agents in question, title, and the question as the thesis asks it (section 1).
QUESTIONS = (
    (
        'pretrain',
        'Question 1: one agent for several levels',
        'Is it more efficient to train a single agent on all levels of a set at once than an '
        'agent on each level?',
    ),
    (
        'finetune',
        'Question 2: fine-tuning',
        'Can an agent trained on all levels of a set be fine-tuned on single ones of them, and is '
        'that more efficient than training from nothing?',
    ),
    (
        'transfer',
        'Question 3: transfer',
        'Can an agent trained on all levels of a set transfer what it has learned to a level '
        'outside the set?',
    ),
)
# Who is compared with whom, with the verb that fits the first.
_SIDES = {
    'pretrain': (
        'One agent trained on all levels of {}',
        'does',
        'is',
        'agents trained on one level each for the same frames in all',
    ),
    'finetune': (
        'Agents fine-tuned after pre-training on {}',
        'do',
        'are',
        'agents trained from nothing for the same frames in all',
    ),
    'transfer': (
        'Agents transferred from {} to levels they have not seen',
        'do',
        'are',
        'agents trained from nothing for as many frames',
    ),
}
_STAGE_NAMES = {'pretrain': 'pre-training', 'finetune': 'fine-tuning', 'transfer': 'transfer'}


def plain_sentence(stage: str, set_name: str, answer: Answer) -> str:
    """The answer over all levels in words, computed from its interval and number of seeds."""
    subject, does, is_, other = _SIDES[stage]
    subject = subject.format(set_name)
    together = answer.together
    if not math.isfinite(together.value):
        return f'{subject}: no answer yet, too few runs have got far enough (n = {together.n}).'
    if together.verdict == verdicts.UNDECIDED:
        claim = f'{subject} {is_} {together.verdict} from {other}.'
    else:
        claim = f'{subject} {does} {together.verdict} than {other}.'
    if together.n < verdicts.ENOUGH_SEEDS:
        claim += f' Indication only: n = {together.n}, below {verdicts.ENOUGH_SEEDS} seeds.'
    return claim


def numbers_sentence(answer: Answer) -> str:
    """The number over all levels behind the plain sentence, with its interval."""
    together = answer.together
    if not math.isfinite(together.value):
        return ''
    what = 'Difference' if together.kind == 'difference' else 'Ratio of areas under the curves'
    return tied(
        f'{what}, {together.name}: {together.numbers} '
        f'({short(together.agent)} against {short(together.baseline)}, n = {together.n}).'
    )


def verdict_box(stage: str, set_name: str, answer: Answer) -> Markup:
    """The plain sentence and its numbers in a box that the verdict colours."""
    lines = [element('p', element('strong', tied(plain_sentence(stage, set_name, answer))))]
    if numbers := numbers_sentence(answer):
        lines.append(element('p', numbers, class_='soft'))
    lines += [element('p', f'Caution: {words}.') for words in answer.cautions]
    kind = _kind(answer.together)
    return element('div', *lines, class_=f'verdict {kind}'.strip())


def chip(comparison: Comparison) -> Markup:
    """The verdict as a small label."""
    if not math.isfinite(comparison.value):
        return element('span', 'no answer yet', class_='chip')
    return element('span', comparison.verdict, class_=f'chip {_kind(comparison)}'.strip())


def question_body(data: Study, stage: str, found: Answers) -> Markup:
    """Everything about one question but its figure, set by set."""
    parts: list[Markup] = []
    for set_name in data.plan.sets:
        parts.append(element('h3', f'Set {set_name}: ', _levels(data, stage, set_name)))
        if (stage, set_name) not in found:
            words = f'No {_STAGE_NAMES[stage]} run on {set_name} is here: no answer yet.'
            parts.append(element('p', words))
            continue
        answer = found[stage, set_name]
        parts.append(verdict_box(stage, set_name, answer))
        if answer.aggregate:
            parts += [element('p', _sentence(words)) for words in answer.aggregate.sentences]
        parts.append(_level_table(answer))
        if stage == 'transfer':
            parts.append(_transfer_table(data, set_name))
        parts.append(listing(x for x in answer.sentences if x.startswith('left out')))
    if not data.plan.sets:
        parts.append(element('p', f'No {_STAGE_NAMES[stage]} run is here: no answer yet.'))
    return join(parts)


def aggregate_table(found: Answers) -> Markup:
    """Interquartile means and probabilities of improvement of every question and set."""
    rows = []
    for (stage, set_name), answer in found.items():
        one = answer.aggregate
        if one is not None:
            few = ' (indication only)' if one.n < verdicts.ENOUGH_SEEDS else ''
            known = math.isfinite(one.improvement.value)
            rows.append(
                (
                    f'{_STAGE_NAMES[stage]} {set_name}',
                    f'{one.verdict}{few}' if known else 'no answer yet',
                    len(one.levels),
                    one.agents,
                    one.baselines,
                    one.improvement,
                    f'{one.runs[0]} and {one.runs[1]}',
                )
            )
    head = ('agents', 'verdict', 'levels', 'agents: IQM', 'baselines: IQM', 'P(improvement)', 'n')
    return table(head, rows, 'Aggregates over levels') if rows else Markup()


def _level_table(answer: Answer) -> Markup:
    unit = 'difference' if answer.together.kind == 'difference' else 'ratio'
    # The verdict stands early, where a phone shows it without scrolling.
    head = ('level', 'verdict', f'{unit} [95 % interval]', 'agents', 'baselines', 'n')
    rows = [
        (
            x.name,
            chip(x),
            x.numbers if math.isfinite(x.value) else '',
            _known(x.agent),
            _known(x.baseline),
            x.n,
        )
        for x in answer.levels
    ]
    return table(head, rows, answer.question)


def _transfer_table(data: Study, set_name: str) -> Markup:
    head = (
        'level',
        'jump-start [95 % interval]',
        'threshold',
        'agents: frames [95 % interval]',
        'baselines: frames [95 % interval]',
    )
    rows = [
        (
            x.level,
            x.jump_start.numbers,
            _known(x.threshold),
            tied(str(x.agent)),
            tied(str(x.baseline)),
        )
        for x in answers.transfer_measures(data, set_name)
    ]
    label = f'Jump-start and frames to a threshold, {set_name}'
    words = (
        'Jump-start: difference in the mean return of the first 20 episodes after prefill. '
        'Frames: until the mean of the agents or baselines reaches the threshold, a return halfway '
        'from the random policy to the baseline at T.'
    )
    return join([table(head, rows, label), element('p', words, class_='soft')])


def _levels(data: Study, stage: str, set_name: str) -> Markup:
    if stage == 'pretrain':
        return names(data.plan.sets[set_name])
    if stage == 'finetune':
        return join(['fine-tuned on ', names(answers.finetuned_levels(data, set_name))])
    return join(['transferred to ', names(data.plan.transfer)])


def _known(value: float) -> str:
    return short(value) if math.isfinite(value) else '?'


def _kind(comparison: Comparison) -> str:
    """The class of the style sheet for a verdict, empty where nothing is decided."""
    decided = math.isfinite(comparison.value) and comparison.verdict != verdicts.UNDECIDED
    return comparison.verdict if decided else ''


def _sentence(words: str) -> str:
    return tied(f'{words[:1].upper()}{words[1:]}.')
