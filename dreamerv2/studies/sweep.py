"""The runs of a sweep: all combinations of tasks, seeds and values of a grid."""

from __future__ import annotations

import argparse
import contextlib
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from dreamerv2.cli import FINISHED, Parser, exit_code_of
from dreamerv2.config import load_config
from dreamerv2.envs import check_task
from dreamerv2.errors import UsageError, printable
from dreamerv2.paths import expand_home
from dreamerv2.run.logdir.folder import opened
from dreamerv2.run.logdir.lock import Lock
from dreamerv2.run.metrics.terminal import print_line as say
from dreamerv2.signals import StopRequest
from dreamerv2.studies.definition import Job, combinations
from dreamerv2.studies.engines import add_arguments, check_arguments, make_engine
from dreamerv2.studies.runner import conclude, run_jobs

OWN = ('--task', '--seed', '--logdir', '--configs', '--dry_run')

EPILOG = """examples:
  scripts/sweep.sh mario mario_3-1 0 1 2 3 4
  scripts/sweep.sh mario,debug mario_3-1,mario_3-1+3-2 0 1 -- --precision float32
  scripts/sweep.sh mario mario_3-1 0 1 2 3 --gpus 0,1 --gpus_per_run 0.5
  scripts/sweep.sh mario_small mario_1-1 0 1 --grid model_opt.lr=4e-4,1e-3 --grid kl.balance=0.5,0.8

Each run has its logdir ROOT/TASK/SEED; with a grid ROOT/TASK/KEY=VALUE,KEY=VALUE/SEED, and a plot
of ROOT has a line for each combination. Finished runs are skipped and stopped ones resumed, so the
same command can be repeated at any time. A run that fails does not stop the others; Ctrl-C stops
the sweep, with checkpoints. Exit code: 0 all finished, 1 some failed, 2 bad input, 75 stopped."""


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit code."""
    return exit_code_of(run_sweep, argv, 'Interrupted before anything was started.')


def run_sweep(argv: Sequence[str]) -> int:
    """Runs what is not finished of a sweep.

    Returns the exit code: 0 all finished, 1 some failed, 75 stopped. Raises UsageError for a
    mistake in the command line.
    """
    args, flags = parse(argv)
    root = expand_home(args.logdir).absolute()
    configs = args.config.replace(',', ' ').split()
    jobs = make_sweep(configs, args.tasks, args.seeds, flags, root, args.grid)
    if args.dry_run:
        for job in jobs:
            print(f'{job.name}: {" ".join(job.arguments)}')
        return FINISHED
    with StopRequest() as stop, contextlib.ExitStack() as stack:
        for folder in (root / task for task in args.tasks):
            stack.enter_context(opened(folder))
            stack.enter_context(Lock(folder))
        engine = make_engine(args, root)
        stack.callback(engine.close)
        ended = run_jobs(
            jobs, engine, say=say, should_stop=stop, retries=args.retries, interval=0.2
        )
    return conclude(jobs, ended, say)


def make_sweep(
    configs: Sequence[str], tasks: Sequence[str], seeds: Sequence[int], flags: Sequence[str],
    root: Path, grid: Mapping[str, Sequence[str]],
) -> list[Job]:  # fmt: skip
    """The runs, task by task, and for each every combination of the grid's values by key.

    Raises UsageError for what `train.py` would refuse.
    """
    for flag in (*flags, *(f'--{key}' for key in grid)):
        if flag.split('=')[0] in OWN:
            raise UsageError(f'{flag} is set by the sweep itself: remove it')
    jobs = []
    for task in tasks:
        for setting, values in combinations(grid).items():
            given = ['--configs', *configs, *flags]
            given += [word for key, value in values.items() for word in (f'--{key}', value)]
            config = load_config([*given, '--task', task])
            check_task(task, config.sets)
            frames = config.steps * config.action_repeat
            for seed in seeds:
                name = '/'.join(filter(None, [task, setting, str(seed)]))
                jobs.append(Job(name, task, seed, frames, config.steps, root / name, tuple(given)))
    return jobs


def parse_grid(texts: Sequence[str]) -> dict[str, list[str]]:
    """The values of each key, from `KEY=VALUE,VALUE`; raises UsageError for anything else."""
    grid: dict[str, list[str]] = {}
    for text in texts:
        key, _, values = text.partition('=')
        listed = values.split(',')
        fine = all(re.fullmatch(r'[\w.+-]+', word) for word in (key, *listed))
        if not fine or len(set(listed)) < len(listed):
            raise UsageError(
                f'--grid {printable(text)}: expected KEY=VALUE,VALUE with different values, such '
                'as model_opt.lr=4e-4,1e-3'
            )
        if key in grid:
            raise UsageError(
                f'--grid {printable(text)}: {key} is there twice; give all values once'
            )
        grid[key] = listed
    return grid


def parse(argv: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """The sweep's own arguments, and the flags for `train.py` after `--`."""
    parser = Parser(
        prog='sweep',
        usage='scripts/sweep.sh CONFIG TASK[,TASK] SEED... [OPTIONS] [-- FLAGS FOR TRAIN]',
        description='Trains every task with every seed.',
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument('config', metavar='CONFIG', help='presets, separated by commas')
    parser.add_argument('tasks', metavar='TASK[,TASK]', help='such as mario_3-1,mario_3-2')
    parser.add_argument('seeds', metavar='SEED', nargs='+', help='whole numbers')
    parser.add_argument(
        '--logdir', type=Path, metavar='ROOT',
        default=Path(os.environ.get('LOGROOT') or '~/logdir'),
        help='default: LOGROOT, else ~/logdir',
    )  # fmt: skip
    parser.add_argument(
        '--grid', action='append', default=[], metavar='KEY=VALUE,VALUE',
        help='train with each of these values; several grids are combined',
    )  # fmt: skip
    parser.add_argument('--dry_run', action='store_true', help='only show the runs')
    add_arguments(parser)
    split = argv.index('--') if '--' in argv else len(argv)
    args, flags = parser.parse_args(argv[:split]), list(argv[split + 1 :])
    args.tasks = [task for task in args.tasks.split(',') if task]
    if not args.config.replace(',', ' ').split():
        raise UsageError(f'CONFIG is {args.config!r}, expected a preset such as mario_small')
    for seed in args.seeds:
        if not seed.isdecimal():
            raise UsageError(f'SEED is {seed!r}, expected a whole number (flags come after --)')
    args.seeds = [int(seed) for seed in args.seeds]
    args.grid = parse_grid(args.grid)
    check_arguments(args)
    return args, flags
