"""The definition of a study: stages, levels, parents, costs, questions, and runs.

Stages are declared in `STAGES` only. Runner, status, analysis and report read it, so this module
imports nothing but the configuration.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from dreamerv2.cli import did_you_mean
from dreamerv2.config import load_config, named_sets
from dreamerv2.errors import UsageError

PLAN = 'plan.json'  # at the root of a study, beside its runs
SETTING = re.compile(r'[\w.]+=[\w.,()+=-]{0,200}', re.ASCII)  # of a grid; names a folder


@dataclasses.dataclass(frozen=True)
class Question:
    """What a stage answers about its agents, compared with baselines of the same cost."""

    number: int
    title: str  # as the report heads it
    words: str  # the question as the thesis asks it (section 1)
    # What an answer compares: `{levels}` is their number, `{agents}` and `{baselines}` are the
    # frames of each side's runs.
    sides: str
    agents: str  # the two sides in a sentence; `{}` is the name of the pre-training set
    others: str
    several: bool = True  # whether `agents` is a plural
    areas: bool = False  # whether areas under the curves are compared, not values at one frame

    @property
    def heading(self) -> str:
        """Such as `Question 2: fine-tuning`."""
        return f'Question {self.number}: {self.title}'


@dataclasses.dataclass(frozen=True)
class Stage:
    """A kind of run: what it is trained on, what it starts from, cost and question."""

    name: str  # in `study.json`, as a folder, and as the key of its sets or levels in study files
    run: str  # name of one of its runs
    on_set: bool = False  # whether one agent is trained on all levels of a set, not one on each
    # The stage whose finished run of the same set and seed it starts from, on the same level if
    # that one is trained on levels; empty for training from scratch.
    parent: str = ''
    within_set: bool = False  # whether it is only about levels of the parent's set
    bears_parent: bool = False  # whether its runs share the cost of those that they start from
    question: Question | None = None  # what it answers; None for the baselines of others
    done: str = ''  # what was done to an agent, before the levels: `fine-tuned on`
    task: str = ''  # what to do with a pre-trained agent: `fine-tune it to each of them`

    @property
    def noun(self) -> str:
        """Such as `fine-tuning`."""
        return self.run.removesuffix(' run')

    @property
    def of_set(self) -> bool:
        """Whether its runs belong to a set: they are trained on it, or start from one that was."""
        return self.on_set or (bool(self.parent) and STAGES[self.parent].of_set)

    def cost(self, frames: Any, total: float, levels: int) -> Any:
        """Total cost in frames of its runs on some levels when each is at `frames`.

        `frames` is a number or an array, `total` is T, the frames of a whole run.
        """
        paid = STAGES[self.parent].cost(total, total, levels) if self.bears_parent else 0
        return (1 if self.on_set else levels) * frames + paid

    def equal_cost(self, total: float, levels: int) -> tuple[float, float]:
        """Frames of its runs and of one baseline per level at which both sides cost the same.

        The largest such frames up to T, `total`: the cheaper side is taken at T.

        Raises:
            ValueError: the runs that it starts from alone cost more than baselines at T.
        """
        levels = max(levels, 1)
        cost, paid = (self.cost(frames, total, levels) for frames in (total, 0))
        if paid > levels * total:
            raise ValueError(
                f'{self.name} has no equal cost on {levels} levels: what its runs start from costs '
                f'{paid:g} frames, baselines at most {levels * total:g}'
            )
        if cost <= levels * total:
            return total, cost / levels
        return total - paid / levels, total


STAGES: dict[str, Stage] = {
    stage.name: stage
    for stage in (
        Stage('baseline', 'baseline'),
        Stage(
            'pretrain',
            'pre-training run',
            on_set=True,
            question=Question(
                number=1,
                title='one agent for several levels',
                words='Is it more efficient to train a single agent on all levels of a set at once '
                'than an agent on each level?',
                sides='one agent on {levels} levels after {agents} frames, against an agent a '
                'level after {baselines} each',
                agents='one agent trained on all levels of {}',
                others='agents trained on one level each for the same frames in all',
                several=False,
            ),
        ),
        Stage(
            'finetune',
            'fine-tuning run',
            parent='pretrain',
            within_set=True,
            bears_parent=True,
            done='fine-tuned on',
            task='fine-tune it to each of them',
            question=Question(
                number=2,
                title='fine-tuning',
                words='Can an agent trained on all levels of a set be fine-tuned on single ones of '
                'them, and is that more efficient than training from nothing?',
                sides='{levels} agents fine-tuned for {agents} frames each after one pre-training '
                'run, against as many from nothing after {baselines}',
                agents='agents fine-tuned after pre-training on {}',
                others='agents trained from nothing for the same frames in all',
            ),
        ),
        Stage(
            'transfer',
            'transfer run',
            parent='pretrain',
            done='transferred to',
            task='transfer it to new ones',
            question=Question(
                number=3,
                title='transfer',
                words='Can an agent trained on all levels of a set transfer what it has learned to '
                'a level outside the set?',
                sides='mean up to {agents} frames (area under the curve) on {levels} unseen '
                'levels, transferred agents against agents from nothing',
                agents='agents transferred from {} to levels they have not seen',
                others='agents trained from nothing for as many frames',
                areas=True,
            ),
        ),
    )
}
"""The stages in order, parents before their children."""


def asked() -> list[tuple[str, Question]]:
    """The questions of all stages, each with the name of its stage."""
    return [(stage.name, stage.question) for stage in STAGES.values() if stage.question]


@dataclasses.dataclass(frozen=True, order=True)
class Place:
    """The place of one run in a study; `set` is empty for a baseline, `level` for pre-training."""

    stage: str
    set: str
    level: str
    seed: int

    def __str__(self) -> str:
        return ' '.join(filter(None, (self.stage, self.set, self.level, f'seed {self.seed}')))

    @property
    def folder(self) -> str:
        """Such as `finetune/e4/3-1/0`: the run's folder below the study's root."""
        return '/'.join(filter(None, (self.stage, self.set, self.level, str(self.seed))))

    @property
    def parent(self) -> Place | None:
        """The place of the run that this one starts from; None for training from scratch."""
        above = STAGES.get(STAGES[self.stage].parent)
        if above is None:
            return None
        return Place(above.name, self.set, '' if above.on_set else self.level, self.seed)

    @property
    def order(self) -> tuple[int, Place]:
        """Sort key: stage (as in `STAGES`), set, level and seed."""
        return list(STAGES).index(self.stage), self


@dataclasses.dataclass(frozen=True)
class Definition:
    """The definition of a study."""

    sets: Mapping[str, tuple[str, ...]]  # name to levels
    trained_on: Mapping[str, tuple[str, ...]]  # by stage, sets or levels with an agent each
    seeds: tuple[int, ...]
    frames: int  # T, of every run
    family: str = 'mario'  # of the tasks
    configs: tuple[str, ...] = ()  # presets of every run
    overrides: Mapping[str, Any] = dataclasses.field(default_factory=dict)  # keys on top of them
    # Values of further keys: all runs are made for every combination of them.
    grid: Mapping[str, Sequence[Any]] = dataclasses.field(default_factory=dict)
    frames_per_second: float | None = None  # of one run
    path: Path | None = None  # its file

    @property
    def finetune(self) -> tuple[str, ...]:
        """Levels on which pre-trained agents are trained further."""
        return self.trained_on['finetune']

    @property
    def transfer(self) -> tuple[str, ...]:
        """Levels to which pre-trained agents are transferred."""
        return self.trained_on['transfer']

    @property
    def all_levels(self) -> tuple[str, ...]:
        """All levels of pre-trained agents, each once."""
        return all_levels(self.sets, self.trained_on)

    @property
    def flags(self) -> list[str]:
        """The command-line flags of every run."""
        # In one word, so that a value cannot be mistaken for a flag, and may be empty.
        return ['--configs', *self.configs, *(f'--{x}' for x in assignments(self.overrides))]

    def all_places(self) -> list[Place]:
        """Every run of the study, or of one of its settings, parents before their children."""
        return [
            Place(stage.name, set_name, level, seed)
            for stage in STAGES.values()
            for level in (('',) if stage.on_set else self.trained_on[stage.name])
            for set_name in self._sets(stage)
            for seed in self.seeds
        ]

    def places(self, stage: str, set_name: str = '', levels: Iterable[str] = ('',)) -> list[Place]:
        """The places of one stage on some levels, for every seed."""
        return [Place(stage, set_name, level, seed) for level in levels for seed in self.seeds]

    def levels_of(self, stage: str, set_name: str) -> tuple[str, ...]:
        """The levels on which a set's agents of a stage are compared.

        A stage that is about its parent's set may also be trained on levels of other sets; such
        runs answer nothing.
        """
        own = self.sets.get(set_name, ())
        if STAGES[stage].on_set:
            return own
        levels = self.trained_on[stage]
        return tuple(x for x in levels if x in own) if STAGES[stage].within_set else levels

    def is_compared(self, place: Place) -> bool:
        """Whether a run enters an answer; see `levels_of`."""
        return not place.level or place.level in self.levels_of(place.stage, place.set)

    def task(self, levels: Sequence[str]) -> str:
        """The task of these levels."""
        return f'{self.family}_{"+".join(levels)}'

    def _sets(self, stage: Stage) -> tuple[str, ...]:
        """The sets of a stage's runs; an empty name where they belong to none."""
        if stage.on_set:
            return self.trained_on[stage.name]
        return self._sets(STAGES[stage.parent]) if stage.parent else ('',)


def assignments(values: Mapping[str, Any]) -> list[str]:
    """`KEY=VALUE` of each key, as on a command line: lists with commas."""
    lists = {key: x if isinstance(x, list | tuple) else [x] for key, x in values.items()}
    return [f'{key}={",".join(map(str, listed))}' for key, listed in lists.items()]


def combinations(grid: Mapping[str, Sequence[Any]]) -> dict[str, dict[str, Any]]:
    """The settings of a grid, `KEY=VALUE,KEY=VALUE` to values by key; '' alone without a key."""
    found = [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]
    return {','.join(assignments(values)): values for values in found}


def level_sets() -> dict[str, tuple[str, ...]]:
    """The named sets of `configs.yaml`, such as `e4`, name to levels."""
    return named_sets()


def all_levels(
    sets: Mapping[str, Sequence[str]], trained_on: Mapping[str, Sequence[str]]
) -> tuple[str, ...]:
    """All levels of sets and of the stages that start from other runs, each once."""
    later = [trained_on.get(x.name, ()) for x in STAGES.values() if x.parent and not x.on_set]
    return tuple(dict.fromkeys(itertools.chain(*sets.values(), *later)))


def by_stage(
    sets: Mapping[str, Sequence[str]], given: Mapping[str, Sequence[str]]
) -> dict[str, tuple[str, ...]]:
    """The sets or levels that every stage is trained on, in the order of the stages.

    A stage that is not given is trained on all sets or levels of the study if its runs start from
    scratch, and has no runs otherwise.
    """
    levels = all_levels(sets, given)
    default = {
        stage.name: () if stage.parent else tuple(sets) if stage.on_set else levels
        for stage in STAGES.values()
    }
    return {name: tuple(given.get(name, names)) for name, names in default.items()}


def plan_of(definition: Definition) -> dict[str, Any]:
    """The content of a study's `plan.json`; see `read_plan`."""
    return {
        'sets': {name: list(levels) for name, levels in definition.sets.items()},
        **{stage: list(names) for stage, names in definition.trained_on.items()},
        'seeds': list(definition.seeds),
        'frames': definition.frames,
        **({'settings': list(combinations(definition.grid))} if definition.grid else {}),
    }


def read_plan(path: Path) -> Definition:
    """The study of a `plan.json`; for stages that it does not name see `by_stage`.

    Raises UsageError naming the file and the key that cannot be used.
    """
    key = 'it'
    try:
        loaded = json.loads(path.read_bytes())
        key = 'sets'
        sets = {str(name): _names(levels) for name, levels in loaded['sets'].items()}
        given = {}
        for key in STAGES:
            if key in loaded:
                given[key] = _names(loaded[key])
        key = 'seeds'
        seeds = tuple(int(seed) for seed in loaded['seeds'])
        key = 'frames'
        frames = int(loaded['frames'])
        if frames < 1:
            raise ValueError
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError):
        later = ' and '.join(stage.name for stage in STAGES.values() if stage.parent)
        raise UsageError(
            f'{path}: {key} cannot be used; expected sets (name: list of levels), '
            f'{later} (lists of levels), seeds (list), frames (from 1)'
        ) from None
    return Definition(sets, by_stage(sets, given), seeds, frames, path=path)


def planned_settings(path: Path) -> tuple[str, ...]:
    """The settings of a study's grid by its `plan.json`; none without a grid, or a plan."""
    try:
        return tuple(x for x in json.loads(path.read_bytes())['settings'] if SETTING.fullmatch(x))
    except (OSError, ValueError, KeyError, TypeError):
        return ()


def _names(levels: Any) -> tuple[str, ...]:
    if not isinstance(levels, list):
        raise TypeError
    return tuple(str(level) for level in levels)


@dataclasses.dataclass(frozen=True)
class Job:
    """One training run."""

    name: str  # such as finetune/e4/3-1/0; also its folder
    task: str
    seed: int
    frames: int  # its length
    steps: int  # its length in agent steps, which `train.py` counts
    logdir: Path
    flags: tuple[str, ...]  # of `train.py`, shared by all runs of a setting
    place: Place | None = None  # in a study
    parent: Job | None = None  # the run that it starts from
    setting: str = ''  # of a study's grid

    @property
    def levels(self) -> list[str]:
        """The levels that it is trained on."""
        return self.task.partition('_')[2].split('+')

    @property
    def study(self) -> dict[str, Any]:
        """The content of `study.json` in its logdir; empty outside studies."""
        if self.place is None:
            return {}
        return dataclasses.asdict(self.place) | ({'setting': self.setting} if self.setting else {})

    @property
    def arguments(self) -> list[str]:
        """The command-line arguments of `train.py`."""
        own = ['--task', self.task, '--seed', str(self.seed), '--logdir', str(self.logdir)]
        if not any(flag.split('=')[0] == '--steps' for flag in self.flags):
            own += ['--steps', str(self.steps)]
        if self.parent is not None:
            repeat = self.frames // self.steps
            own += ['--init.from', f'{self.parent.logdir}@{self.parent.steps * repeat}']
        return [*self.flags, *own]


def make_jobs(definition: Definition, root: Path) -> list[Job]:
    """All runs of a study, setting by setting, parents before their children.

    Raises UsageError where the budget is shorter than the prefill, or a parent is not in the study.
    """
    found: list[Job] = []
    for setting, values in combinations(definition.grid).items():
        flags = (*definition.flags, *(f'--{x}' for x in assignments(values)))
        try:
            config = load_config(flags)
        except UsageError as error:
            raise UsageError(f'{definition.path}: grid: {setting}: {error}') from error
        repeat = config.action_repeat
        steps = math.ceil(definition.frames / repeat)
        if steps <= config.prefill:
            raise UsageError(
                f'{definition.path}: frames {definition.frames} are {steps} agent steps, no more '
                f'than the prefill of {config.prefill}: raise frames, or lower config.prefill'
            )
        jobs: dict[Place, Job] = {}
        for place in definition.all_places():
            parent = place.parent
            if parent is not None and parent not in jobs:
                raise UsageError(
                    f'{definition.path}: {place.folder} starts from {parent.folder}, which is not '
                    f'in the study: add {parent.level or parent.set} to {parent.stage}'
                )
            name, frames = f'{setting}/{place.folder}'.lstrip('/'), steps * repeat
            task = definition.task([place.level] if place.level else definition.sets[place.set])
            above = jobs[parent] if parent is not None else None
            own = root / name, flags, place, above, setting
            jobs[place] = Job(name, task, place.seed, frames, steps, *own)
        found += jobs.values()
    return found


def select(
    jobs: Sequence[Job],
    *,
    stages: Collection[str] = (),
    sets: Collection[str] = (),
    levels: Collection[str] = (),
    seeds: Collection[int] = (),
) -> list[Job]:
    """The selected jobs of a study; an empty collection selects all.

    A set selects the runs that belong to it, and the baselines on the levels of these.

    Raises UsageError where something selected is in none of them.
    """
    found = [job for job in jobs if not stages or job.study['stage'] in stages]
    of_sets = [job for job in jobs if job.study['set'] in sets]
    theirs = {level for job in of_sets for level in job.levels}
    for key, wanted in (('set', sets), ('level', levels), ('seed', seeds)):
        known = dict.fromkeys(job.study[key] for job in (jobs if key == 'set' else found))
        for value in wanted:
            if value not in known:
                names = [str(name) for name in known if name != '']
                name = str(value).rpartition('_')[2]
                hint = did_you_mean(name, names, lead='; ') if key != 'seed' else ''
                raise UsageError(
                    f'--{key}s {value}: not in this study; there are {", ".join(names) or "none"}'
                    f'{hint}'
                )
        if wanted:
            found = [
                job
                for job in found
                if job.study[key] in wanted
                or (key == 'set' and not job.study['set'] and theirs.issuperset(job.levels))
            ]
    return found
