"""Everything that the thesis shows, as far as the runs of a study allow."""

import dataclasses
import math
from collections.abc import Iterator, Sequence
from typing import Any

from dreamerv2.analysis import answers, equal_budget, figures, reconstructions, verdicts
from dreamerv2.analysis.figures import Drawn
from dreamerv2.analysis.scores import Answer, Comparison
from dreamerv2.analysis.start_frames import figure2
from dreamerv2.analysis.study import Study
from dreamerv2.analysis.text import short
from dreamerv2.analysis.transfer_matrix import transfer_matrix

FIGURES = ('2', '3', '4', '5', '6', '7', '8', 'transfer_matrix')


def draw_figures(
    data: Study, names: Sequence[str] = FIGURES, *, bins: int = 50, window: int = 20
) -> Iterator[Drawn | str]:
    """The figures with these names one after another, or a line on why one cannot be drawn.

    Figure 3 comes once for every pre-training set.
    """
    smooth = {'bins': bins, 'window': window}
    present = {place.stage for place in data.runs}
    if '2' in names:
        drawn = figure2(data)
        yield drawn if drawn.rows else 'figure2: not drawn, no run has recorded episodes'
    if '3' in names:
        yield from _draw_figure3(data, smooth)
    if '4' in names:
        if any('image_loss' in run.series for run in data.runs.values()):
            yield figures.figure4(data, bins=bins)
        else:
            yield 'figure4: not drawn, no run has an image loss'
    if '5' in names:
        if any(answers.finetuned_levels(data, name) for name in data.plan.sets):
            yield figures.figure5(data, **smooth)
        else:
            yield 'figure5: not drawn, no fine-tuning run'
    if '6' in names:
        if 'transfer' in present:
            yield figures.figure6(data, **smooth)
        else:
            yield 'figure6: not drawn, no transfer run'
    if '7' in names:
        if 'pretrain' in present:
            yield equal_budget.figure7(data, **smooth)
        else:
            yield 'figure7: not drawn, no pre-training run'
    if '8' in names:
        yield from _draw_figure8(data)
    if 'transfer_matrix' in names:
        if present - {'baseline'}:
            yield transfer_matrix(data)
        else:
            yield 'transfer_matrix: not drawn, no run but baselines'


def _draw_figure3(data: Study, smooth: dict[str, int]) -> Iterator[Drawn | str]:
    for name in data.plan.sets:
        if any(place.stage == 'pretrain' and place.set == name for place in data.runs):
            yield figures.figure3(data, name, **smooth)
        else:
            yield f'figure3_{name}: not drawn, no pre-training run on {name}'
    if not data.plan.sets:
        yield 'figure3: not drawn, no pre-training run'


def _draw_figure8(data: Study) -> Iterator[Drawn | str]:
    found, lines = reconstructions.read_reconstructions(data)
    yield from (f'figure8: {line}' for line in lines)
    if found:
        yield reconstructions.figure8(data)
    else:
        yield f'figure8: not drawn, no run has {reconstructions.RECONSTRUCTIONS}'


def score_rows(found: Sequence[Answer], data: Study) -> list[dict[str, Any]]:
    """One row a comparison of the answers, and of every jump-start, for a table.

    Headlines with one level left out, and what belongs to no family, have no verdict.
    """
    rows = []
    for answer in found:
        for headline in answer.headlines:
            rows.append(_row(answer.question, headline.together))
            for one in headline.without:
                question = f'{answer.question}; without {one.name}'
                name = f'{len(headline.levels) - 1} of {len(headline.levels)} levels'
                rows.append(_row(question, dataclasses.replace(one, name=name), judged=False))
        rows += [_row(answer.question, comparison) for comparison in answer.levels]
    for set_name in data.plan.sets:
        if not any(p.stage == 'transfer' and p.set == set_name for p in data.runs):
            continue
        for gain in answers.transfer_measures(data, set_name):
            question = f'Question 3, {set_name}: jump-start, first 20 episodes after prefill'
            rows.append(_row(question, gain.jump_start, judged=False))
            if not math.isfinite(gain.threshold):
                continue
            empty = dict.fromkeys(rows[-1], '')
            question = f'Question 3, {set_name}: frames to a return of {short(gain.threshold)}'
            frames = {'agent': gain.agent_frames, 'baseline': gain.baseline_frames}
            rows.append({**empty, 'question': question, 'of': gain.level, **frames})
    return rows


def _row(question: str, one: Comparison, *, judged: bool = True) -> dict[str, Any]:
    return {
        'question': question,
        'measure': one.measure,
        'of': one.name,
        'kind': one.kind,
        'value': one.value,
        'low': one.low,
        'high': one.high,
        'agent': one.agent,
        'baseline': one.baseline,
        'n': one.n,
        'corrected_p': one.adjusted if judged else '',
        'family': one.family if judged else '',
        'detectable': verdicts.detectable(one.contrast, one.family) if judged else '',
        'verdict': one.verdict if judged else '',
    }


def state_of_runs(data: Study) -> list[str]:
    """A line on how many runs there are, and one for each missing or unfinished one."""
    plan = data.plan
    tasks = dict.fromkeys(
        [
            *(level for levels in plan.sets.values() for level in levels),
            *plan.finetune,
            *plan.transfer,
        ]
    )
    wanted = plan.places('baseline', '', tasks)
    for name in plan.sets:
        wanted += plan.places('pretrain', name)
        wanted += plan.places('finetune', name, answers.finetuned_levels(data, name))
        wanted += plan.places('transfer', name, plan.transfer)
    missing = data.missing(wanted)
    unfinished = data.unfinished(wanted)
    lines = [
        f'{len(wanted)} runs belong to the study: {len(wanted) - len(missing) - len(unfinished)} '
        f'finished, {len(unfinished)} unfinished, {len(missing)} missing'
    ]
    lines += [f'unfinished: {place}, {100 * share:.0f} % of T' for place, share in unfinished]
    return lines + [f'missing: {place}' for place in missing]
