"""The three research questions of the thesis, answered from the runs of a study that are there."""

import dataclasses
import math

import numpy as np

from dreamerv2.analysis import aggregates, curves, reference, scores, study
from dreamerv2.analysis.scores import Answer, Comparison
from dreamerv2.analysis.study import Place, Study
from dreamerv2.analysis.text import reached, short_frames

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

    @property
    def agent_frames(self) -> float:
        """Frames at which the mean of the agents is at the threshold."""
        return self.agent.frames

    @property
    def baseline_frames(self) -> float:
        """Frames at which the mean of the baselines is at the threshold."""
        return self.baseline.frames


def multi_level(data: Study, set_name: str) -> Answer:
    """Question 1: one agent on all levels of a set at T, against baselines at T / N."""
    levels = data.plan.sets[set_name]
    total = data.plan.frames
    cost = total / len(levels)
    question = (
        f'Question 1, {set_name}: one agent on {len(levels)} levels after {short_frames(total)} '
        f'frames, against an agent a level after {short_frames(cost)} each'
    )
    answer = scores.compare_scores(
        question,
        levels,
        study.level_values(data, 'pretrain', set_name, levels, total, bins=BINS),
        study.level_values(data, 'baseline', '', levels, cost, bins=BINS),
        finished=study.level_values(data, 'baseline', '', levels, total, bins=BINS),
        random=study.random_returns(data, levels),
    )
    cautions = tuple(
        f'the return of {level} can be farmed; look at its progress and completion'
        for level in levels
        if level in reference.FARMABLE_LEVELS
    )
    return dataclasses.replace(answer, cautions=cautions)


def finetuned_levels(data: Study, set_name: str) -> tuple[str, ...]:
    """The M levels of a set on which its agent is fine-tuned."""
    return tuple(x for x in data.plan.finetune if x in data.plan.sets.get(set_name, ()))


def fine_tuning(data: Study, set_name: str) -> Answer:
    """Question 2: fine-tuned agents at t = T - T / M, against baselines at t + T / M = T.

    The M fine-tuned agents share the cost of one pre-training run, T / M each.
    """
    levels = finetuned_levels(data, set_name)
    total = data.plan.frames
    frame = total - total / max(len(levels), 1)
    question = (
        f'Question 2, {set_name}: {len(levels)} agents fine-tuned for {short_frames(frame)} frames '
        f'each after one pre-training run, against as many from nothing after {short_frames(total)}'
    )
    finished = study.level_values(data, 'baseline', '', levels, total, bins=BINS)
    return scores.compare_scores(
        question,
        levels,
        study.level_values(data, 'finetune', set_name, levels, frame, bins=BINS),
        finished,
        finished=finished,
        random=study.random_returns(data, levels),
    )


def transfer(data: Study, set_name: str) -> Answer:
    """Question 3: areas under the curves up to T on levels the agent has never seen.

    The scores behind its aggregate are mean returns over the same stretch.
    """
    levels = data.plan.transfer
    total = data.plan.frames
    grid = curves.frame_grid(total, BINS)
    agents = study.level_curves(data, 'transfer', set_name, levels, grid)
    baselines = study.level_curves(data, 'baseline', '', levels, grid)
    question = (
        f'Question 3, {set_name}: area under the curve up to {short_frames(total)} frames on '
        f'{len(levels)} unseen levels, transferred agents against agents from nothing'
    )
    # Both sides of a level together, so that their areas start at the same frame. As a share of T
    # an area reads like a return.
    areas = np.full((len(agents) + len(baselines), len(levels)), np.nan)
    means = areas.copy()
    for i in range(len(levels)):
        both = np.concatenate([agents[:, i], baselines[:, i]])
        areas[:, i] = curves.areas(grid, both, total) / total
        stretch = curves.areas(grid, np.where(np.isfinite(both), 1.0, np.nan), total) / total
        means[:, i] = areas[:, i] / np.where(stretch > 0, stretch, np.nan)
    count = len(agents)
    answer = scores.compare_areas(question, levels, areas[:count], areas[count:])
    scaled = scores.scale_scores(
        levels,
        means[:count],
        means[count:],
        finished=study.level_values(data, 'baseline', '', levels, total, bins=BINS),
        random=study.random_returns(data, levels),
    )
    return dataclasses.replace(answer, scaled=scaled)


def transfer_measures(data: Study, set_name: str) -> list[Transfer]:
    """Jump-start and frames to a threshold on every level of transfer."""
    levels = data.plan.transfer
    grid = curves.frame_grid(data.plan.frames, BINS)
    agents = study.level_curves(data, 'transfer', set_name, levels, grid)
    baselines = study.level_curves(data, 'baseline', '', levels, grid)
    measures = []
    for i, (level, floor) in enumerate(
        zip(levels, study.random_returns(data, levels), strict=True)
    ):
        baseline, _ = curves.seed_mean(baselines[:, i])
        threshold = floor + 0.5 * (baseline[-1] - floor)
        known = math.isfinite(threshold) and threshold > floor
        frames = [
            _reach(grid, stack[:, i], threshold if known else math.nan)
            for stack in (agents, baselines)
        ]
        starts = [_jump_starts(data, 'transfer', set_name, level)]
        starts.append(_jump_starts(data, 'baseline', '', level))
        jump = scores.difference(level, *starts)
        measures.append(Transfer(level, jump, threshold if known else math.nan, *frames))
    return measures


def by_question(data: Study) -> dict[tuple[str, str], Answer]:
    """Answers by the stage and set of the agents in question, where there is a run of them."""
    stages = {(place.stage, place.set) for place in data.runs}
    ask = {'pretrain': multi_level, 'finetune': fine_tuning, 'transfer': transfer}
    return {
        (stage, set_name): question(data, set_name)
        for stage, question in ask.items()
        for set_name in data.plan.sets
        if (stage, set_name) in stages
    }


def all_answers(data: Study) -> list[Answer]:
    """Every question for every set of which there is at least one run of the agents in question."""
    return list(by_question(data).values())


def with_aggregate(answer: Answer) -> Answer:
    """The same answer with its aggregate over levels, which takes a second or two."""
    if answer.scaled is None:
        return answer
    return dataclasses.replace(answer, aggregate=aggregates.aggregate(answer.scaled))


def _reach(grid: np.ndarray, stack: np.ndarray, threshold: float) -> Reach:
    n = int(np.isfinite(stack).any(1).sum())
    if math.isnan(threshold):
        return Reach(math.nan, math.nan, math.nan, n)
    return Reach(*curves.threshold_interval(grid, stack, threshold), n)


def _jump_starts(data: Study, stage: str, set_name: str, level: str) -> np.ndarray:
    """Jump-start of every seed's run `[S, 1]`, NaN where a run is missing or too short."""
    values = []
    for seed in data.plan.seeds:
        run = data.runs.get(Place(stage, set_name, level, seed))
        series = study.series_of(run, 'train_return', level) if run else None
        values.append(curves.jump_start(series.values) if series else math.nan)
    return np.array(values, np.float64).reshape(-1, 1)
