"""The command lines of studies and of their single stages."""

from __future__ import annotations

import argparse
import contextlib
import functools
import sys
from collections.abc import Sequence
from pathlib import Path

from dreamerv2 import archive
from dreamerv2.cli import FINISHED, Parser, exit_code_of, whole_number
from dreamerv2.durable import write_durably
from dreamerv2.errors import UsageError
from dreamerv2.paths import expand_home
from dreamerv2.run.logdir.folder import opened
from dreamerv2.run.logdir.lock import Lock
from dreamerv2.run.metrics.terminal import print_line as say
from dreamerv2.signals import StopRequest
from dreamerv2.studies import status_tables
from dreamerv2.studies.archive import Archive
from dreamerv2.studies.definition import Job, make_jobs, select
from dreamerv2.studies.engines import add_arguments, check_arguments, make_engine
from dreamerv2.studies.evaluations import evaluate_finished
from dreamerv2.studies.runner import conclude, run_jobs, write_plan
from dreamerv2.studies.state import State, read_state, read_states
from dreamerv2.studies.study_file import read_definition

DEFINITION = 'study.yaml'


def main(argv: Sequence[str] | None = None, stages: Sequence[str] = ()) -> int:
    """The command that runs a study, or some of its stages; returns its exit code."""
    run = functools.partial(run_study, stages=stages)
    return exit_code_of(run, argv, 'Interrupted before anything was started.')


def status_main(argv: Sequence[str] | None = None) -> int:
    """The command that shows the progress of a study; returns its exit code."""
    return exit_code_of(show_status, argv)


def run_study(argv: Sequence[str], stages: Sequence[str] = ()) -> int:
    """Plans, shows and runs a study, or some of its stages.

    Returns the exit code: 0 all finished, 1 some failed, 75 stopped. Raises UsageError for a
    mistake in the command line or the definition, before anything starts.
    """
    args = _parse(argv, stages)
    definition = read_definition(args.study)
    root = expand_home(args.logdir).absolute()
    every = make_jobs(definition, root)
    kept = Archive(expand_home(args.archive).absolute(), every, root) if args.archive else None
    jobs = select(every, stages=stages, sets=args.sets, levels=args.levels, seeds=args.seeds)
    if not jobs:
        raise UsageError(f'{args.study} has no {" or ".join(stages)} runs')
    archived = kept.missing() if kept else []
    states = read_states(jobs) | {
        job: State('finished', job.frames) for job in archived if job in jobs
    }
    rows = status_tables.plan_rows(jobs, states)
    if sys.stdout.isatty():
        status_tables.show(rows)
    else:
        say(status_tables.as_text(rows))
    speed, at_once = definition.frames_per_second, max(args.jobs, 1)
    say(status_tables.estimate_line(jobs, states, speed, at_once))
    if args.dry_run:
        return FINISHED
    if stages:
        _check_parents(jobs, archived)
    with opened(root), StopRequest() as stop, Lock(root):
        engine = make_engine(args, root)
        if kept:
            kept.restore(say)
        for folder in [root, kept.path] if kept else [root]:
            write_plan(definition, folder)
            write_durably(folder / DEFINITION, args.study.read_bytes())
        evaluate = evaluate_finished(definition, say)

        def after(job: Job) -> None:
            evaluate(job)
            if kept:
                kept.keep(job, say)

        for job in jobs:
            if read_state(job).kind == 'finished':
                after(job)
        with contextlib.closing(engine):
            ended = run_jobs(
                jobs, engine, say=say, should_stop=stop, retries=args.retries, after=after
            )
    return conclude(jobs, ended, say)


def show_status(argv: Sequence[str]) -> int:
    """Shows the progress of a study's runs; returns exit code 0."""
    parser = Parser(prog='status', description='Shows the progress of the runs of a study.')
    parser.add_argument('root', type=Path, metavar='ROOT', help="the study's --logdir or --archive")
    parser.add_argument('--json', action='store_true', help='machine-readable output')
    parser.add_argument('--watch', action='store_true', help='update every few seconds')
    args = parser.parse_args(argv)
    root = expand_home(args.root).absolute()
    if not (root / DEFINITION).is_file():
        raise UsageError(
            f'{root} is not a study: expected the --logdir or --archive of experiments/study.py'
        )
    with archive.opened(root) as folder:
        jobs = make_jobs(read_definition(folder / DEFINITION), folder)
        if args.json:
            print(status_tables.as_json(jobs, read_states(jobs)))
        elif args.watch and sys.stdout.isatty():
            status_tables.watch(jobs)
        else:
            states = read_states(jobs)
            print(status_tables.as_text(status_tables.status_rows(jobs, states)))
            print(status_tables.summary_line(states))
    return FINISHED


def _parse(argv: Sequence[str], stages: Sequence[str]) -> argparse.Namespace:
    name = stages[0] if stages else 'study'
    what = f'the {" and ".join(stages)} runs' if stages else 'all runs'
    parser = Parser(
        prog=name, allow_abbrev=False,
        description=f'Runs what is not finished of {what} of a study. Stop it at any time and '
        'start it again: nothing is done twice.',
    )  # fmt: skip
    parser.add_argument(
        'study', type=Path, metavar='STUDY.yaml', help='such as experiments/mini.yaml'
    )
    parser.add_argument('--logdir', type=Path, required=True, metavar='ROOT', help='for all runs')
    parser.add_argument(
        '--archive', type=Path, metavar='DIR',
        help='keep finished runs here in compact form, and take those that are missing from here',
    )  # fmt: skip
    parser.add_argument('--dry_run', action='store_true', help='only show the plan')
    parser.add_argument(
        '--sets', nargs='+', default=[], metavar='SET',
        help='only the runs of these, and baselines on the levels of those runs',
    )  # fmt: skip
    parser.add_argument('--levels', nargs='+', default=[], metavar='LEVEL', help='only these')
    parser.add_argument(
        '--seeds', nargs='+', type=whole_number(), default=[], metavar='N', help='only these'
    )
    add_arguments(parser)
    args = parser.parse_args(argv)
    check_arguments(args)
    return args


def _check_parents(jobs: Sequence[Job], archived: Sequence[Job]) -> None:
    """Raises UsageError where a run's parent is missing or unfinished."""
    for job in jobs:
        if job.parent is None or job.parent.place is None or read_state(job).kind == 'finished':
            continue
        if job.parent in archived:
            continue
        state = read_state(job.parent)
        if state.kind != 'finished':
            reached = f'is at {state.frames} of {job.parent.frames} frames'
            raise UsageError(
                f'{job.name} starts from {job.parent.name}, which '
                f'{reached if state.frames else "does not exist yet"}: run '
                f'experiments/{job.parent.place.stage}.py with the same study and --logdir first'
            )
