"""Tables of a study: all comparisons behind its answers, and which of its runs are there."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

from dreamerv2.analysis import answers, verdicts
from dreamerv2.analysis.scores import Answer, Comparison
from dreamerv2.analysis.study import Study
from dreamerv2.analysis.text import short


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
    wanted = [place for place in plan.all_places() if plan.is_compared(place)]
    missing = data.missing(wanted)
    unfinished = data.unfinished(wanted)
    lines = [
        f'{len(wanted)} runs belong to the study: {len(wanted) - len(missing) - len(unfinished)} '
        f'finished, {len(unfinished)} unfinished, {len(missing)} missing'
    ]
    lines += [f'unfinished: {place}, {100 * share:.0f} % of T' for place, share in unfinished]
    return lines + [f'missing: {place}' for place in missing]
