"""Which run is which part of a study: pre-training, fine-tuning, transfer, or their baselines.

A run says so itself in `study.json` beside its `config.yaml`:
`{"stage": "finetune", "set": "e4", "level": "3-1", "seed": 0}`. A baseline has no set, a
pre-training run no level. Runs without the file are placed by their task and the checkpoint they
started from.

What the whole study consists of, its definition, stands in `plan.json` at its root. Without it the
definition is what the runs together imply.
"""

import collections
import dataclasses
import math
import os
import pathlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from dreamerv2.analysis import curves, random_policy, table
from dreamerv2.analysis.table import Run, Series
from dreamerv2.errors import UsageError
from dreamerv2.paths import expand_home
from dreamerv2.studies.definition import (
    PLAN,
    SETTING,
    STAGES,
    Definition,
    Place,
    by_stage,
    level_sets,
    planned_settings,
    read_plan,
)

# The share of the frames before a frame that its value is taken from.
WINDOW = 0.2

Side = tuple[str, str, Sequence[str]]  # stage, set and levels of agents that are compared


@dataclasses.dataclass(frozen=True)
class Study:
    """What a study consists of, the runs that are there by their place, remarks for the user."""

    plan: Definition
    runs: Mapping[Place, Run]
    notes: tuple[str, ...]

    def of_stage(self, stage: str, set_name: str | None = None) -> dict[Place, Run]:
        """The runs of a stage, in order; of one set alone if it is given."""
        return {
            place: self.runs[place]
            for place in sorted(self.runs)
            if place.stage == stage and set_name in (None, place.set)
        }

    def present(self, places: Iterable[Place]) -> list[Run]:
        """The runs that are there of those at `places`."""
        return [self.runs[place] for place in places if place in self.runs]

    def missing(self, places: Iterable[Place]) -> list[Place]:
        """Those of `places` that have no run, each once."""
        return [place for place in dict.fromkeys(places) if place not in self.runs]

    def unfinished(self, places: Iterable[Place]) -> list[tuple[Place, float]]:
        """Those of `places` whose run has not reached T, with the share it has reached."""
        return [
            (place, share)
            for place in places
            if place in self.runs and (share := self.runs[place].end / self.plan.frames) < 1
        ]

    @property
    def state(self) -> list[str]:
        """A line on how many runs there are, and one for each missing or unfinished one."""
        wanted = [place for place in self.plan.all_places() if self.plan.is_compared(place)]
        missing, unfinished = self.missing(wanted), self.unfinished(wanted)
        finished = len(wanted) - len(missing) - len(unfinished)
        return [
            f'{len(wanted)} runs belong to the study: {finished} finished, '
            f'{len(unfinished)} unfinished, {len(missing)} missing',
            *(f'unfinished: {place}, {100 * share:.0f} % of T' for place, share in unfinished),
            *(f'missing: {place}' for place in missing),
        ]


def read_studies(root: str | os.PathLike) -> dict[str, Study]:
    """The study under `root` in each setting of its grid that has runs; in '' without a grid.

    Raises UsageError where `root` is no folder, holds no run or none that belongs to a study, or
    has a plan that cannot be used.
    """
    root = expand_home(root)
    runs: dict[str, list[Run]] = {}
    for run in table.read_runs(root):
        setting = str(run.study.get('setting', ''))
        # It names folders of figures, which no file may choose.
        runs.setdefault(setting if SETTING.fullmatch(setting) else '', []).append(run)
    absent = tuple(
        f'setting {name}: no run yet' for name in planned_settings(root / PLAN) if name not in runs
    )
    return {setting: _study_of(root, listed, absent) for setting, listed in runs.items()}


def read_study(root: str | os.PathLike) -> Study:
    """As `read_studies` where there is one; raises UsageError where there are several."""
    found = read_studies(root)
    if len(found) > 1:
        raise UsageError(f'{root}: a study of {len(found)} settings; give the folder of one')
    return found.popitem()[1]


def _study_of(root: pathlib.Path, runs: Sequence[Run], absent: Sequence[str] = ()) -> Study:
    """Finds the place of each run; `absent` are remarks on what has no runs."""
    notes = [*absent, *(f'{run.name}: {note}' for run in runs for note in run.notes)]
    by_path = {os.path.realpath(run.path): run for run in runs}
    placed: dict[Place, Run] = {}
    for run in runs:
        place = place_of(run, by_path)
        if place is None:
            notes.append(f'{run.name}: left out, its part in a study is not clear')
        elif place in placed:
            first, second = sorted((placed[place], run), key=lambda run: run.end)
            notes.append(f'{first.name}: left out, {second.name} is also {place} and got further')
            placed[place] = second
        else:
            placed[place] = run
    if not placed:
        raise UsageError(
            f'{root}: {len(runs)} runs but none whose part in a study is clear; see {table.STUDY}'
        )
    if (root / PLAN).exists():
        plan = read_plan(root / PLAN)
    else:
        plan = infer_plan(placed)
        notes.append(f'no {PLAN}: what belongs to the study is taken from the runs that are there')
    return Study(plan, placed, tuple(notes))


def place_of(run: Run, by_path: Mapping[str, Run]) -> Place | None:
    """A run's place, from `study.json` or from its task and its parent; None where unclear.

    `by_path` are the runs in which to look for the parent, by their real path.
    """
    if run.study:
        stage = STAGES.get(str(run.study.get('stage')))
        set_name, level = (str(run.study.get(key) or '') for key in ('set', 'level'))
        if stage is None or (stage.of_set and not set_name) or not (stage.on_set or level):
            return None
        return Place(stage.name, set_name * stage.of_set, level * (not stage.on_set), run.seed)
    if run.task == 'unknown':
        return None
    single = run.levels[0] if len(run.levels) == 1 else ''
    if not run.started_from[0]:
        set_name = '' if single else _set_name(run)
        return Place(_first_stage(on_set=not single), set_name, single, run.seed)
    parent = by_path.get(_parent(run))
    if parent is None or len(parent.levels) < 2 or not single:
        return None
    stage_name = _first_stage(above=_first_stage(on_set=True), within_set=single in parent.levels)
    return Place(stage_name, _set_name(parent), single, run.seed)


def _first_stage(*, on_set: bool = False, above: str = '', within_set: bool = False) -> str:
    """The first stage of a kind: which it is of several alike, only `study.json` can tell."""
    kind = (on_set, above, within_set)
    return next(x.name for x in STAGES.values() if (x.on_set, x.parent, x.within_set) == kind)


def _set_name(run: Run) -> str:
    return str(run.study.get('set') or run.task.split('_', 1)[-1])


def _parent(run: Run) -> str:
    """The logdir a run began from, empty for one from nothing."""
    logdir, _ = run.started_from
    return os.path.realpath(os.path.expanduser(logdir)) if logdir else ''


def infer_plan(runs: Mapping[Place, Run]) -> Definition:
    """The study that the runs together imply: every combination of what is seen of each stage.

    T is the budget that most runs have; levels are in the order of their names.
    """
    sets: dict[str, tuple[str, ...]] = {}
    for place in sorted(runs):
        if STAGES[place.stage].on_set:
            sets.setdefault(place.set, runs[place].levels)
    used = {place.set for place in runs}
    named = {name: levels for name, levels in level_sets().items() if name in used}
    sets = dict(sorted({**named, **sets}.items(), key=lambda item: (len(item[1]), item[0])))
    names = {
        name: sorted({place.level or place.set for place in runs if place.stage == name})
        for name, stage in STAGES.items()
        if stage.parent
    }
    budgets = collections.Counter(run.budget or run.end for run in runs.values())
    return Definition(
        sets=sets,
        trained_on=by_stage(sets, names),
        seeds=tuple(sorted({place.seed for place in runs})),
        frames=max(budgets, key=lambda frames: (budgets[frames], frames)) or 1,
    )


def level_curves(
    study: Study, side: Side, grid: np.ndarray, metric: str = 'train_return', window: int = 20
) -> np.ndarray:
    """Curves of one side, a row an independent run: float64 `[S, L, B]`.

    Rows are those of `independent_seeds`. A pre-training run gives all its levels. What is
    missing is NaN. `grid`: frames `[B]`.
    """
    empty = np.full(len(grid), np.nan)
    return by_run(study, side, metric, lambda x: x.on_grid(grid, window), empty)


def against_baselines(
    study: Study, side: Side, grid: np.ndarray, metric: str = 'train_return', window: int = 20
) -> tuple[np.ndarray, np.ndarray]:
    """`level_curves` of one side `[S, L, B]` and of the baselines on its levels `[C, L, B]`."""
    agents, baselines = (
        level_curves(study, x, grid, metric, window) for x in (side, ('baseline', '', side[2]))
    )
    return agents, baselines


def level_values(
    study: Study, side: Side, frame: float, metric: str = 'train_return'
) -> np.ndarray:
    """Values at one frame, read off a line through the last fifth before it: float64 `[S, L]`.

    The windows of two frames at which two sides have cost the same are the same share of that
    cost. Rows are those of `level_curves`.
    """

    def value(x: Series) -> float:
        return curves.value_by(x.steps, x.values, frame, WINDOW * frame, end=x.end)

    return by_run(study, side, metric, value)


def independent_seeds(study: Study, stage: str, set_name: str) -> list[list[int]]:
    """Seeds with a run of a stage, those together that share a pre-trained parent.

    Seeds whose runs began from different parents, or from nothing, are observations of their own.
    """
    groups: list[tuple[list[int], set[str]]] = []
    there = study.of_stage(stage, set_name)
    for seed in study.plan.seeds:
        runs = [run for place, run in there.items() if place.seed == seed]
        if not runs:
            continue
        seeds, parents = [seed], set(map(_parent, runs)) - {''}
        for group in [group for group in groups if group[1] & parents]:
            groups.remove(group)
            seeds, parents = group[0] + seeds, parents | group[1]
        groups.append((seeds, parents))
    return [seeds for seeds, _ in groups]


def by_run(
    study: Study, side: Side, metric: str, value: Callable[[Series], Any], missing: Any = math.nan
) -> np.ndarray:
    """What `value` makes of a metric of each run on each level: float64 `[S, L, ...]`.

    A row is an independent run, see `independent_seeds`: the mean over its seeds. Where none of
    them has the metric it is `missing`.
    """
    stage, set_name, levels = side
    rows = []
    for seeds in independent_seeds(study, stage, set_name):
        cells = []
        for level in levels:
            own = '' if STAGES[stage].on_set else level
            runs = [study.runs.get(Place(stage, set_name, own, seed)) for seed in seeds]
            found = [value(x) for run in runs if run and (x := run.on_level(metric, level))]
            cells.append(curves.seed_mean(np.array(found))[0] if found else missing)
        rows.append(cells)
    return np.array(rows, np.float64).reshape(len(rows), len(levels), *np.shape(missing))


def random_returns(study: Study, levels: Sequence[str], metric: str = 'train_return') -> np.ndarray:
    """Mean return or other metric of a random policy on each level `[L]`, NaN where not known."""
    found = [random_policy_on(study, level, metric) for level in levels]
    return np.array([one.mean if one else math.nan for one in found], np.float64)


def random_policy_on(
    study: Study, level: str, metric: str = 'train_return'
) -> random_policy.RandomPolicy | None:
    """A random policy on a level with the settings of the runs that began from nothing there.

    As measured where they have the table's settings, else from their prefill.
    """
    all_runs = study.runs.items()
    fresh = [run for x, run in all_runs if not STAGES[x.stage].parent and level in run.levels]
    # Without any, those of the study's other runs are as near as one gets.
    return random_policy.of_runs(fresh or list(study.runs.values()), level, metric)
