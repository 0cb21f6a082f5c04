"""The flags for where runs are executed, shared by studies and sweeps."""

from __future__ import annotations

import argparse
import math
from pathlib import Path

from dreamerv2.cli import whole_number
from dreamerv2.doctor.installation import driver_gpus
from dreamerv2.errors import UsageError
from dreamerv2.studies.engines.local import LocalEngine
from dreamerv2.studies.runner import Engine

LEAST_SHARE = 0.05  # of a GPU
MOST_GPUS = 8  # of one run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags that choose an engine."""
    parser.add_argument(
        '--jobs', type=whole_number(), default=0, metavar='N',
        help='runs at a time (default: one, or as many as the GPUs or the cluster have room for)',
    )  # fmt: skip
    parser.add_argument(
        '--gpus', type=_numbers, default=[], metavar='N,N', help='numbers of the GPUs to use'
    )
    parser.add_argument(
        '--gpus_per_run', type=float, metavar='SHARE',
        help='0.5: two runs share a GPU (default: 1, on a cluster 0)',
    )  # fmt: skip
    parser.add_argument(
        '--engine', choices=('local', 'ray', 'slurm'), default='local',
        help='this machine, a Ray cluster, or Slurm through submitit',
    )  # fmt: skip
    parser.add_argument(
        '--address', default='', help='ray: address of the cluster (default: a new one)'
    )
    parser.add_argument(
        '--cpus_per_run', type=float, default=1.0, metavar='N', help='ray and slurm: cores (1)'
    )
    parser.add_argument(
        '--slurm', default='', metavar='KEY=VALUE,KEY=VALUE',
        help='options of submitit, such as slurm_partition=gpu,timeout_min=4320',
    )  # fmt: skip
    parser.add_argument(
        '--retries',
        type=whole_number(),
        default=1,
        metavar='N',
        help='retries after a crash (1)',
    )


def check_arguments(args: argparse.Namespace) -> None:
    """Raises UsageError for impossible values of these flags."""
    _check_share(args.gpus_per_run, args.engine)
    if args.engine == 'local':
        _check_gpus(args.gpus, args.gpus_per_run)
    elif args.gpus:
        raise UsageError(
            f'--gpus is for this machine; --engine {args.engine} gives runs the GPUs that '
            '--gpus_per_run asks for'
        )
    if not 0 < args.cpus_per_run <= 1024:
        raise UsageError(f'--cpus_per_run {args.cpus_per_run}: expected a number above 0')
    _slurm_options(args)


def _check_share(share: float | None, engine: str) -> None:
    """Raises UsageError for a fraction of a GPU that an engine cannot provide."""
    if share is None:
        return
    whole = share in range(1, MOST_GPUS + 1)
    if engine == 'local' and not LEAST_SHARE <= share <= 1:
        expected = f'a share from {LEAST_SHARE} to 1, such as 0.5 for two runs on each GPU'
    elif engine == 'ray' and not (LEAST_SHARE <= share <= 1 or whole):
        expected = f'a share from {LEAST_SHARE} to 1, or a whole number up to {MOST_GPUS}'
    elif engine == 'slurm' and not (whole or share == 0):
        expected = f'a whole number up to {MOST_GPUS}: Slurm gives whole GPUs'
    else:
        return
    raise UsageError(f'--gpus_per_run {share}: expected {expected}')


def _check_gpus(gpus: list[int], share: float | None) -> None:
    """Raises UsageError for GPUs that this machine does not have."""
    if not gpus:
        if share is not None:
            raise UsageError(f'--gpus_per_run {share} needs --gpus, such as --gpus 0')
        return
    given = f'--gpus {",".join(map(str, gpus))}'
    if len(set(gpus)) < len(gpus):
        raise UsageError(f'{given}: expected each GPU once; --gpus_per_run 0.5 shares them')
    found = driver_gpus()
    if isinstance(found, str):
        raise UsageError(f'{given}: {found}')
    if not found:
        raise UsageError(
            f'{given}: this machine has no NVIDIA GPU, or no driver for it; leave --gpus out to '
            'train on the CPU'
        )
    missing = [gpu for gpu in gpus if gpu >= len(found)]
    if missing:
        last = len(found) - 1
        there = f'0 to {last}' if last else 'only 0'
        raise UsageError(f'{given}: there is no GPU {missing[0]}; this machine has {there}')


def make_engine(args: argparse.Namespace, root: Path) -> Engine:
    """The engine that the flags choose.

    Args:
        args: with the flags of `add_arguments`.
        root: folder of all runs.

    Raises:
        UsageError: incompatible flags, or no cluster found.
    """
    if args.engine == 'ray':
        from dreamerv2.studies.engines.ray import RayEngine

        return RayEngine(args.address, args.jobs, args.cpus_per_run, args.gpus_per_run or 0.0)
    if args.engine == 'slurm':
        from dreamerv2.studies.engines.slurm import SlurmEngine

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
    if not all(part.isdecimal() and len(part) < 6 for part in text.split(',')):
        raise argparse.ArgumentTypeError(f'{text!r} is not a list of GPUs such as 0,1')
    return [int(part) for part in text.split(',')]
