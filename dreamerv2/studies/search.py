"""Search over settings with Optuna: each is trained with every seed and scored by its metrics.

Below the search's folder `search.db` is Optuna's store, `NUMBER/SEED` a run. A trial stays open in
the store until its runs are finished or it is pruned, so that the same command resumes it.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import itertools
import json
import math
import shlex
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dreamerv2.cli import FAILED, FINISHED, STOPPED, Parser, did_you_mean, exit_code_of
from dreamerv2.config import load_config
from dreamerv2.errors import UsageError, printable, shown
from dreamerv2.paths import expand_home
from dreamerv2.run.logdir.folder import opened
from dreamerv2.run.logdir.lock import Lock
from dreamerv2.run.metrics.jsonl import METRICS
from dreamerv2.run.metrics.terminal import print_line as say
from dreamerv2.signals import StopRequest
from dreamerv2.studies.definition import Job
from dreamerv2.studies.engines import add_arguments, check_arguments, make_engine
from dreamerv2.studies.runner import run_jobs
from dreamerv2.studies.search_file import UNSCORED, Search, read_search
from dreamerv2.studies.state import read_failure, read_state
from dreamerv2.studies.status_tables import as_text

STORE = 'search.db'
IDENTITY = 'search'  # an attribute in the store: what is searched
RUNGS = 10  # of a run, at each of which its trial may be pruned
INTERVAL = 1.0  # seconds between looks at the runs
UNPRUNED = 5  # trials that finish before others are compared with them


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit code."""
    return exit_code_of(run_search, argv, 'Interrupted before anything was started.')


def run_search(argv: Sequence[str]) -> int:
    """Runs what is not finished of a search, or shows it.

    Returns the exit code: 0 all finished, 1 some failed, 75 stopped. Raises UsageError for a
    mistake in the file or the command line, and where the folder holds another search.
    """
    args = _parse(argv)
    search = read_search(args.search)
    root = expand_home(args.logdir).absolute()
    if args.status:
        if not (root / STORE).is_file():
            raise UsageError(f'{root} holds no search: start it without --status first')
        print(table(Trials(search, root)))
        return FINISHED
    if args.engine != 'local':  # Unlimited, all trials would start before any is scored.
        args.jobs = args.jobs or len(search.seeds)
    with opened(root), StopRequest() as stop, Lock(root), contextlib.ExitStack() as stack:
        engine = make_engine(args, root)
        stack.callback(engine.close)
        trials = Trials(search, root)
        trials.study.set_user_attr(IDENTITY, search.identity())
        ended = run_jobs(
            [], engine, say=say, should_stop=lambda: stop() or bool(trials.problem),
            retries=args.retries, interval=INTERVAL,
            after=trials.settle, more=trials.more, dropped=trials.dropped,
        )  # fmt: skip
    if trials.problem:
        raise UsageError(trials.problem)
    say(table(trials))
    if stop():
        say('The same command resumes from here.')
        return STOPPED
    return FAILED if ended['failed'] else FINISHED


class Trials:
    """The trials of a search, in the store of its folder.

    Raises UsageError where Optuna is missing, the store cannot be read, or it is another search's.

    Attributes:
        study: Optuna's.
        problem: why no trial can be scored, if that is so.
    """

    def __init__(self, search: Search, root: Path) -> None:
        try:
            import optuna
        except ImportError as error:
            raise UsageError("a search needs Optuna: pip install '.[search]'") from error
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.search, self.root, self.problem = search, root, ''
        self._optuna = optuna
        self._jobs: dict[int, list[Job]] = {}  # of trials in progress
        self._rung: dict[int, int] = {}  # the next one of each
        try:
            self.study: Any = optuna.create_study(
                storage=f'sqlite:///{root / STORE}', study_name='search', load_if_exists=True,
                direction=optuna.study.StudyDirection[search.direction.upper()],
            )  # fmt: skip
            trials, identity = self.study.trials, self.study.user_attrs.get(IDENTITY)
        except Exception as error:  # whatever a damaged database raises
            reason = printable((str(error).splitlines() or [repr(error)])[0], 200)
            raise UsageError(f'{root / STORE} cannot be used: {reason}') from error
        if identity is not None:
            _check_same(root, search, identity, trials)
        if search.prune_from < 1:
            warmup = math.ceil(search.prune_from * RUNGS)
            self.study.pruner = optuna.pruners.MedianPruner(UNPRUNED, n_warmup_steps=warmup)
        else:
            self.study.pruner = optuna.pruners.NopPruner()
        self._open = [trial.number for trial in trials if not trial.state.is_finished()]

    def more(self) -> list[Job]:
        """The runs of another trial, first of those that were interrupted; none at the end."""
        while self._open or len(self.study.trials) < self.search.trials:
            if self._open:
                trial = self._attached(self._open.pop(0))
            else:
                # A seed for each, so that a resumed search does not draw the same again.
                seed = len(self.study.trials)
                self.study.sampler = self._optuna.samplers.TPESampler(seed=seed)
                trial = self.study.ask()
            for key, (kind, values) in self.search.space.items():
                _suggest(trial, key, kind, values)
            if self._closed_as_twin(trial):
                continue
            jobs = self.search.jobs(trial.number, trial.params, self.root)
            self._jobs[trial.number] = jobs
            self.settle(jobs[0])  # The search may have been killed right after the last run.
            if trial.number in self._jobs:
                words = ', '.join(f'{key} {_short(value)}' for key, value in trial.params.items())
                say(f'{trial.number:03}: {words}')
                return jobs
        return []

    def settle(self, job: Job) -> None:
        """Closes the trial of a run if all its runs are finished."""
        number = _trial_of(job)
        jobs = self._jobs.get(number, [])
        if not jobs or any(read_state(one).kind != 'finished' for one in jobs):
            return
        mean = _mean([self._score(one) for one in jobs])
        if mean is not None:
            self.study.tell(number, mean)
            del self._jobs[number]
            return
        name = self.search.objective
        hint = did_you_mean(name, {key for row in read_rows(job.logdir) for key in row}, lead='; ')
        self.problem = f'objective {shown(name)}: not in {job.logdir / METRICS}{hint}'

    def dropped(self, job: Job) -> bool:
        """Whether a run is not needed: its trial is pruned, or another run of it has failed."""
        number = _trial_of(job)
        jobs = self._jobs.get(number, [])
        return not jobs or any(map(read_failure, jobs)) or self._prune(number, jobs)

    def _prune(self, number: int, jobs: list[Job]) -> bool:
        """Reports how far a trial has come, and closes it if it is not worth going on.

        Rungs count on from one seed to the next, so that trials are compared with each other after
        the same number of runs and frames, by the mean of these runs up to there.
        """
        while (rung := self._rung.get(number, 1)) < RUNGS * len(jobs):
            run, part = divmod(rung - 1, RUNGS)
            job, part = jobs[run], part + 1
            state = read_state(job)
            if state.frames * RUNGS < part * job.frames:
                return False
            if part == RUNGS and state.kind != 'finished':
                return False
            self._rung[number] = rung + 1
            mean = _mean([*map(self._score, jobs[:run]), self._score(job, part / RUNGS)])
            trial = self._attached(number)
            if mean is None or rung in self.study.trials[number].intermediate_values:
                continue
            trial.report(mean, rung)
            if trial.should_prune():
                self.study.tell(number, state=self._optuna.trial.TrialState.PRUNED)
                del self._jobs[number]
                say(f'{number:03}: pruned at {state.frames} frames of {job.name}')
                return True
        return False

    def _score(self, job: Job, part: float = 1.0) -> float | None:
        start, end = (part - self.search.last) * job.frames, part * job.frames
        return score(read_rows(job.logdir), self.search.objective, start, end)

    def _closed_as_twin(self, trial: Any) -> bool:
        """Closes a trial with the setting of an earlier one, with the same result."""
        earlier = self.study.trials[: trial.number]
        twin = next((one for one in earlier if one.params == trial.params), None)
        if twin is None:
            return False
        states = self._optuna.trial.TrialState
        state = twin.state if twin.state.is_finished() else states.FAIL
        self.study.tell(trial, twin.value if state == states.COMPLETE else None, state=state)
        return True

    def _attached(self, number: int) -> Any:
        # Optuna has no public way to go on with the trial of an earlier process.
        return self._optuna.trial.Trial(self.study, self.study.trials[number]._trial_id)


def table(trials: Trials) -> str:
    """A row per setting, the best first, and how to train the best once more."""
    search, sign = trials.search, -1 if trials.search.direction == 'maximize' else 1
    rows: list[tuple[Any, list[str], Job]] = []
    seen: list[dict[str, Any]] = []
    for trial in trials.study.trials:
        if trial.params in seen or len(trial.params) < len(search.space):
            continue
        seen.append(trial.params)
        jobs = search.jobs(trial.number, trial.params, trials.root)
        kinds = [read_state(job).kind for job in jobs]
        state = {'COMPLETE': 'done', 'PRUNED': 'pruned'}.get(trial.state.name) or next(
            (kind for kind in ('failed', 'running', 'stopped') if kind in kinds), 'waiting'
        )
        value = trial.value  # of a pruned one, the last that was reported
        rank = (0, sign * value) if state == 'done' else (1, trial.number)
        cells = [_short(trial.params[key]) for key in search.space]
        seeds = f'{kinds.count("finished")}/{len(jobs)}'
        mean = '' if value is None else _short(value)
        rows.append((rank, [f'{trial.number:03}', *cells, state, seeds, mean], jobs[0]))
    rows.sort(key=lambda row: row[0])
    head = ['setting', *search.space, 'state', 'seeds', search.objective]
    text = as_text([head, *(cells for _, cells, _ in rows)])
    if not rows or rows[0][0][0]:
        return text
    seed = next(seed for seed in itertools.count() if seed not in search.seeds)
    best = dataclasses.replace(rows[0][2], seed=seed, logdir=trials.root / 'best' / str(seed))
    command = shlex.join(['python', 'dreamerv2/train.py', *best.arguments])
    return f'{text}\nThe best one, with a seed that it was not chosen by:\n{command}'


def read_rows(logdir: Path) -> list[dict[str, Any]]:
    """The lines of `metrics.jsonl`; what is no JSON object with a step is left out."""
    rows = []
    with contextlib.suppress(FileNotFoundError):
        for line in (logdir / METRICS).read_bytes().splitlines():
            with contextlib.suppress(ValueError):
                rows.append(json.loads(line))
    return [row for row in rows if isinstance(row, dict) and isinstance(row.get('step'), int)]


def score(rows: Sequence[dict[str, Any]], metric: str, start: float, end: float) -> float | None:
    """The mean of a metric over frames after `start` and up to `end`, without the prefill.

    The last value before where there is none in between, as with rare evaluations or long episodes;
    None where there is none at all.
    """
    found = [
        (row['step'], row[metric])
        for row in rows
        if isinstance(row.get(metric), int | float) and row['step'] <= end
        if not row.get('train_prefill')
    ]
    return _mean([value for step, value in found if step > start] or [x for _, x in found[-1:]])


def _mean(values: Sequence[float | None]) -> float | None:
    """The mean; None where there is nothing, or a value is None."""
    found = [value for value in values if value is not None]
    return statistics.fmean(found) if found and len(found) == len(values) else None


def _check_same(root: Path, search: Search, old: dict[str, Any], trials: Sequence[Any]) -> None:
    """Raises UsageError where a store is of another search, or has more trials."""
    scored = any(trial.intermediate_values or trial.values for trial in trials)
    before = {**load_config([]).flat, **old}  # Keys newer than the store had their defaults.
    for key, value in search.identity().items():
        if value != before.get(key) and (scored or key not in UNSCORED):
            raise UsageError(
                f'{root} holds a search with another {key}: {shown(before.get(key), 150)} there, '
                f'{shown(value, 150)} here; only trials may grow: take that back, or choose '
                'another --logdir'
            )
    if search.trials < len(trials):
        raise UsageError(
            f'trials {search.trials}: {root} has {len(trials)}; expected at least that'
        )


def _suggest(trial: Any, key: str, kind: str, values: Sequence[Any]) -> None:
    """Draws a value, or leaves the one that was drawn before an interruption."""
    if kind == 'values':
        trial.suggest_categorical(key, values)
    elif kind == 'int':
        trial.suggest_int(key, *values)
    else:
        trial.suggest_float(key, *values, log=kind == 'log')


def _trial_of(job: Job) -> int:
    return int(job.name.partition('/')[0])


def _short(value: Any) -> str:
    return f'{value:.4g}' if isinstance(value, float) else printable(str(value))


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = Parser(
        prog='search', allow_abbrev=False,
        description='Searches for the best setting. Stop it at any time and start it again: '
        'nothing is done twice. Exit code: 0 all finished, 1 some failed, 2 bad input, 75 stopped.',
    )  # fmt: skip
    parser.add_argument(
        'search', type=Path, metavar='SEARCH.yaml', help='such as experiments/search.yaml'
    )
    parser.add_argument('--logdir', type=Path, required=True, metavar='ROOT', help='for all runs')
    parser.add_argument('--status', action='store_true', help='only show the settings so far')
    add_arguments(parser)
    args = parser.parse_args(argv)
    check_arguments(args)
    return args
