"""Where runs are run: what the command lines of studies and sweeps have in common."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import NoReturn

from dreamerv2.errors import UsageError
from dreamerv2.run.terminal import print_line

from .local import LocalEngine
from .runner import Engine


class Parser(argparse.ArgumentParser):
    """Raises UsageError instead of ending the program."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f'{message}; see --help')


def say(line: str) -> None:
    """Prints a line at once, as long as there is a terminal to print it on."""
    print_line(line)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags that choose an engine."""
    parser.add_argument(
        '--jobs', type=int, default=0, metavar='N',
        help='runs at a time (default: one, or as many as the GPUs or the cluster have place for)',
    )  # fmt: skip
    parser.add_argument(
        '--gpus', type=_numbers, default=[], metavar='N,N', help='numbers of the GPUs to use'
    )
    parser.add_argument(
        '--gpus_per_run', type=float, metavar='SHARE',
        help='0.5: two runs share a GPU (default: 1, on a cluster 0; scripts/bench.py gpu_share '
        'measures what is best)',
    )  # fmt: skip
    parser.add_argument(
        '--engine', choices=('local', 'ray', 'slurm'), default='local',
        help='this machine, a Ray cluster, or Slurm through submitit',
    )  # fmt: skip
    parser.add_argument('--address', default='', help='ray: of the cluster (default: a new one)')
    parser.add_argument(
        '--cpus_per_run', type=float, default=1.0, metavar='N', help='ray and slurm: cores (1)'
    )
    parser.add_argument(
        '--slurm', default='', metavar='KEY=VALUE,KEY=VALUE',
        help='options of submitit, such as slurm_partition=gpu,timeout_min=4320',
    )  # fmt: skip
    parser.add_argument(
        '--retries', type=int, default=1, metavar='N', help='more attempts after a crash (1)'
    )


def check_arguments(args: argparse.Namespace) -> None:
    """Raises UsageError for impossible values of these flags."""
    for key in ('jobs', 'retries'):
        if getattr(args, key) < 0:
            raise UsageError(f'--{key} {getattr(args, key)}: expected 0 or more')
    share = args.gpus_per_run
    if share is not None and not 0 < share <= (1 if args.engine == 'local' else 8):
        raise UsageError(f'--gpus_per_run {share}: expected a share above 0 and up to 1')
    if not 0 < args.cpus_per_run <= 1024:
        raise UsageError(f'--cpus_per_run {args.cpus_per_run}: expected a number above 0')
    _slurm_options(args)


def make_engine(args: argparse.Namespace, root: Path) -> Engine:
    """The engine that the flags choose.

    Args:
        args: with the flags of `add_arguments`.
        root: folder of all runs.

    Raises:
        UsageError: flags that do not go together, or no cluster to be found.
    """
    if args.engine == 'ray':
        from .ray_engine import RayEngine

        return RayEngine(args.address, args.jobs, args.cpus_per_run, args.gpus_per_run or 0.0)
    if args.engine == 'slurm':
        from .slurm_engine import SlurmEngine

        gpus = math.ceil(args.gpus_per_run or 0)
        options = {'cpus_per_task': math.ceil(args.cpus_per_run), 'gpus_per_node': gpus}
        return SlurmEngine(root / 'slurm', 'slurm', args.jobs, {**options, **_slurm_options(args)})
    return LocalEngine(args.jobs, args.gpus, args.gpus_per_run or 1.0)


def _slurm_options(args: argparse.Namespace) -> dict[str, str | int]:
    options: dict[str, str | int] = {}
    for option in filter(None, args.slurm.split(',')):
        key, equals, value = option.partition('=')
        if not key or not equals:
            raise UsageError(f'--slurm {option}: expected KEY=VALUE')
        options[key] = int(value) if value.isdigit() else value
    return options


def _numbers(text: str) -> list[int]:
    if not all(part.isdigit() for part in text.split(',')):
        raise argparse.ArgumentTypeError(f'{text!r} is no list of GPUs such as 0,1')
    return [int(part) for part in text.split(',')]
