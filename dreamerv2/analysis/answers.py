"""The questions of a study, those of the thesis, answered from the runs that are there.

Each is answered on return, progress and completion.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dreamerv2.analysis import curves, scores, study, verdicts
from dreamerv2.analysis.scores import Answer, Comparison
from dreamerv2.analysis.study import Study
from dreamerv2.analysis.text import reached, short, short_frames
from dreamerv2.studies.definition import STAGES, Question, Stage

BINS = 50


@dataclasses.dataclass(frozen=True)
class Reach:
    """Frames to a threshold of the mean over `n` runs, with its 95 % interval.

    Infinite where it never gets there, NaN where there is nothing to tell, as of a single run's
    interval.
    """

    frames: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        if math.isnan(self.frames):
            return '?'
        ends = f' [{reached(self.low)}, {reached(self.high)}]' * (not math.isnan(self.low))
        return f'{reached(self.frames)}{ends}, n = {self.n}'


@dataclasses.dataclass(frozen=True)
class Transfer:
    """What one level gains from a transferred agent.

    `jump_start` compares the mean return of the first 20 episodes after prefill. `agent` and
    `baseline` tell when they reach `threshold`, a return halfway from the random policy to the
    baseline at T, which is taken as fixed.
    """

    level: str
    jump_start: Comparison
    threshold: float
    agent: Reach
    baseline: Reach


def by_question(data: Study) -> dict[tuple[str, str], Answer]:
    """Answers by the stage and set of the agents in question, where there is a run of them.

    Their verdicts are corrected for all of them together.
    """
    return by_setting({'': data})['']


def by_setting(studies: Mapping[str, Study]) -> dict[str, dict[tuple[str, str], Answer]]:
    """`by_question` of a study in each of its settings, corrected for all of them together."""
    found = scores.in_families(
        {
            (name, set_name, setting): _answer_of(data, stage, stage.question, set_name)
            for setting, data in studies.items()
            for name, stage in STAGES.items()
            for set_name in data.plan.sets
            if stage.question is not None and data.of_stage(name, set_name)
        }
    )
    return {
        setting: {key[:2]: answer for key, answer in found.items() if key[2] == setting}
        for setting in studies
    }


def _answer_of(data: Study, stage: Stage, question: Question, set_name: str) -> Answer:
    """A stage's agents of one set against baselines, at frames at which both have cost the same.

    Or by their areas under the curves up to T: an area over its length in frames is the mean, which
    reads like any other return. There is a headline a recorded measure, of returns on the scale of
    each level, and all single levels.
    """
    levels = data.plan.levels_of(stage.name, set_name)
    frames = stage.equal_cost(data.plan.frames, len(levels))
    sides = question.sides.format(
        levels=len(levels), agents=short_frames(frames[0]), baselines=short_frames(frames[1])
    )
    both = (stage.name, set_name, levels), ('baseline', '', levels)
    compare = scores.ratio if question.areas else scores.difference
    recorded = {key.split('/')[0] for run in data.runs.values() for key in run.series}
    headlines, single = [], []
    for measure, metric in scores.MEASURES.items():
        # Without any episode yet the return alone is asked for.
        if measure != 'return' and metric not in recorded:
            continue
        if question.areas:
            agents, baselines = _means_up_to_the_end(data, both[0], metric)
        else:
            agents, baselines = (
                study.level_values(data, side, frame, metric)
                for side, frame in zip(both, frames, strict=True)
            )
        left_out: dict[str, str] = {}
        for i, level in enumerate(levels):
            for side, frame, values in zip(both, frames, (agents, baselines), strict=True):
                if not np.isfinite(values[:, i]).any():
                    left_out.setdefault(level, _why_missing(data, level, *side[:2], frame))
            how = {'measure': measure, 'reason': left_out.get(level, '')}
            single.append(compare(level, agents[:, [i]], baselines[:, [i]], **how))
        if measure == 'return':
            random = [study.random_policy_on(data, level) for level in levels]
            floor = np.array([one.mean if one else math.nan for one in random])
            error = np.array([one.error if one else math.nan for one in random])
            finished = study.level_values(data, both[1], data.plan.frames)
            lead, unusable = scores.scales(levels, finished, floor, error)
            reasons = {**unusable, **left_out}
            left_out = {level: reasons[level] for level in levels if level in reasons}
            usable = np.where([level in left_out for level in levels], np.nan, lead)
            agents, baselines = (agents - floor) / usable, (baselines - floor) / usable
        headlines.append(scores.headline(measure, levels, agents, baselines, left_out, compare))
    words = f'Question {question.number}, {set_name}: {sides}'
    return Answer(words, tuple(headlines), tuple(single))


def _why_missing(data: Study, level: str, stage: str, set_name: str, frame: float) -> str:
    """Why no run of a stage has a value on a level at a frame."""
    name, at = STAGES[stage].run, short_frames(frame)
    if frame <= 0:
        return 'pre-training alone costs as much as its baseline: no frame is left to compare'
    runs = data.of_stage(stage, set_name).items()
    ends = [run.end for place, run in runs if place.level in ('', level)]
    if not ends:
        return f'there is no {name}'
    if max(ends) < frame:
        return f'no {name} has reached {at} frames, the furthest is at {short_frames(max(ends))}'
    return f'no {name} has a finished episode between prefill and {at} frames'


def _means_up_to_the_end(
    data: Study, side: study.Side, metric: str
) -> tuple[np.ndarray, np.ndarray]:
    """Mean of each curve up to T, from where all curves of both sides on a level have begun."""
    total = data.plan.frames
    grid = curves.frame_grid(total, BINS)
    agents, baselines = study.against_baselines(data, side, grid, metric)
    means = np.full((len(agents) + len(baselines), len(side[2])), np.nan)
    for i in range(len(side[2])):
        both = np.concatenate([agents[:, i], baselines[:, i]])
        length = curves.areas(grid, np.where(np.isfinite(both), 1.0, np.nan), total)
        means[:, i] = curves.areas(grid, both, total) / np.where(length > 0, length, np.nan)
    return means[: len(agents)], means[len(agents) :]


def transfer_measures(data: Study, set_name: str) -> list[Transfer]:
    """Jump-start and frames to a threshold on every level of transfer."""
    levels = data.plan.transfer
    grid = curves.frame_grid(data.plan.frames, BINS)
    both = ('transfer', set_name, levels), ('baseline', '', levels)
    agents, baselines = (study.level_curves(data, side, grid) for side in both)
    jump_starts = [
        study.by_run(data, side, 'train_return', lambda x: curves.jump_start(x.values))
        for side in both
    ]
    random = study.random_returns(data, levels)
    measures = []
    for i, (level, floor) in enumerate(zip(levels, random, strict=True)):
        baseline, _ = curves.seed_mean(baselines[:, i])
        half = floor + 0.5 * (baseline[-1] - floor)
        threshold = float(half) if half > floor else math.nan
        frames = []
        for stack in (agents[:, i], baselines[:, i]):
            interval = curves.threshold_interval(grid, stack, threshold)
            frames.append(Reach(*interval, curves.count_curves(stack)))
        jump = scores.difference(level, *(starts[:, [i]] for starts in jump_starts))
        measures.append(Transfer(level, jump, threshold, *frames))
    return measures


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
        if not data.of_stage('transfer', set_name):
            continue
        for gain in transfer_measures(data, set_name):
            question = f'Question 3, {set_name}: jump-start, first 20 episodes after prefill'
            rows.append(_row(question, gain.jump_start, judged=False))
            if not math.isfinite(gain.threshold):
                continue
            empty = dict.fromkeys(rows[-1], '')
            question = f'Question 3, {set_name}: frames to a return of {short(gain.threshold)}'
            frames = {'agent': gain.agent.frames, 'baseline': gain.baseline.frames}
            rows.append({**empty, 'question': question, 'of': gain.level, **frames})
    return rows


def _row(question: str, one: Comparison, *, judged: bool = True) -> dict[str, Any]:
    of = {'question': question, 'measure': one.measure, 'of': one.name, 'kind': one.kind}
    value = {'value': one.value, 'low': one.low, 'high': one.high}
    sides = {'agent': one.agent, 'baseline': one.baseline, 'n': one.n}
    least = verdicts.detectable(one.contrast, one.family)
    p = {'corrected_p': one.adjusted, 'family': one.family, 'detectable': least}
    verdict = {**p, 'verdict': one.verdict}
    return {**of, **value, **sides, **(verdict if judged else dict.fromkeys(verdict, ''))}
