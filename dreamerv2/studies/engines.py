"""Where runs are executed: this machine, a Ray or a Slurm cluster; and the flags that choose."""

from __future__ import annotations

import abc
import argparse
import contextlib
import logging
import math
import os
import re
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dreamerv2.cli import whole_number
from dreamerv2.cores import usable_cores
from dreamerv2.doctor.installation import driver_gpus
from dreamerv2.errors import UsageError, printable
from dreamerv2.studies.definition import Job
from dreamerv2.studies.process import end_run, python_path, run_process, start_process

LEAST_SHARE = 0.05  # of a GPU
MOST_GPUS = 8  # of one run
LOST = 1  # Counts as a crash: the run is retried.
RETRIES = 5  # of Ray, after a machine was lost


class Engine(abc.ABC):
    """Starts runs, `jobs` at once or without limit if 0, and says which have ended.

    A subclass executes one with the last three methods.
    """

    def __init__(self, jobs: int) -> None:
        self._jobs = jobs
        self._running: dict[Job, Any] = {}

    @property
    def has_room(self) -> bool:
        """Whether another run can be started."""
        return not self._jobs or len(self._running) < self._jobs

    @property
    def running(self) -> list[Job]:
        """What was started and has not ended."""
        return list(self._running)

    def start(self, job: Job) -> None:
        """Starts a run, or submits it to the cluster."""
        self._running[job] = self._begin(job)

    def poll(self) -> list[tuple[Job, int]]:
        """The runs that have ended since the last call, with their exit codes."""
        codes = [(job, self._code(active)) for job, active in self._running.items()]
        ended = [(job, code) for job, code in codes if code is not None]
        for job, _ in ended:
            del self._running[job]
        return ended

    def stop(self) -> None:
        """Asks every run to save and end, without waiting; queued runs are cancelled."""
        for job in self._running:
            self.end(job)

    def end(self, job: Job) -> None:
        """The same for one run."""
        self._end(self._running[job])

    def close(self) -> None:  # noqa: B027 (most have nothing to release)
        """Releases the cluster."""

    @abc.abstractmethod
    def _begin(self, job: Job) -> Any:
        """Begins a run; what it returns is given to the methods below."""

    @abc.abstractmethod
    def _code(self, active: Any) -> int | None:
        """The exit code of a run; None while it is active."""

    @abc.abstractmethod
    def _end(self, active: Any) -> None:
        """Asks a run to save and end."""


class LocalEngine(Engine):
    """Runs processes on this machine: `jobs`, or as many as fit on the GPUs, or one without GPUs.

    Without `gpus` a run uses what TensorFlow finds. 0.5 `gpus_per_run` puts two runs on each GPU.
    """

    def __init__(self, jobs: int, gpus: Sequence[int], gpus_per_run: float) -> None:
        places = [str(gpu) for _ in range(int(1 / gpus_per_run + 1e-6)) for gpu in gpus]
        count = jobs or len(places) or 1
        if places and count > len(places):
            raise UsageError(
                f'--jobs {count}: {len(gpus)} GPUs at --gpus_per_run {gpus_per_run} have room for '
                f'{len(places)} runs; lower one or the other'
            )
        super().__init__(count)
        self._free = (places or [''] * count)[:count]

    def _begin(self, job: Job) -> Any:
        place = self._free.pop(0)
        env = {'CUDA_VISIBLE_DEVICES': place} if place else {}
        if self._jobs > 1 and 'TF_NUM_INTRAOP_THREADS' not in os.environ:
            env['TF_NUM_INTRAOP_THREADS'] = str(max(1, usable_cores() // self._jobs))
        return start_process(job.arguments, job.logdir, env), place

    def _code(self, active: Any) -> int | None:
        process, place = active
        code: int | None = process.poll()
        if code is not None:
            self._free.append(place)
        return code

    def _end(self, active: Any) -> None:
        with contextlib.suppress(ProcessLookupError):
            active[0].send_signal(signal.SIGTERM)


class RayEngine(Engine):
    """Submits runs to Ray, which finds a machine with room for each; they share a file system.

    A run whose machine is lost resumes from its checkpoint on another one. Without an address
    a cluster of this machine is started.
    """

    def __init__(
        self, address: str, jobs: int = 0, cpus_per_run: float = 1.0, gpus_per_run: float = 0.0
    ) -> None:
        super().__init__(jobs)
        try:
            import ray
        except ImportError as error:
            raise UsageError("--engine ray needs Ray: pip install '.[cluster]'") from error
        self._ray = ray
        try:
            ray.init(
                address=address or None,
                ignore_reinit_error=True,
                logging_level=logging.ERROR,
                log_to_driver=False,
                include_dashboard=False,
                runtime_env={'env_vars': {'PYTHONPATH': python_path()}},
            )
        except (ConnectionError, ValueError, RuntimeError) as error:
            reason = str(error).strip().splitlines()[0]
            raise UsageError(f'--address {address}: no Ray cluster there ({reason})') from error
        self._submit = ray.remote(run_process).options(
            num_cpus=cpus_per_run, num_gpus=gpus_per_run, max_retries=RETRIES
        )

    def close(self) -> None:
        """Disconnects from the cluster."""
        self._ray.shutdown()

    def _begin(self, job: Job) -> Any:
        return self._submit.remote(job.arguments, job.logdir)

    def _code(self, active: Any) -> int | None:
        ready, _ = self._ray.wait([active], timeout=0)
        try:
            return int(self._ray.get(active)) if ready else None
        except self._ray.exceptions.RayError:
            return LOST

    def _end(self, active: Any) -> None:
        self._ray.cancel(active)


class SlurmTask:
    """A job of Slurm's cluster; submitit calls `checkpoint` before it is pre-empted."""

    def __init__(self, arguments: list[str], logdir: Path) -> None:
        self.arguments = arguments
        self.logdir = logdir

    def __call__(self) -> int:
        """Runs to the end; returns the exit code."""
        return run_process(self.arguments, self.logdir)

    def checkpoint(self) -> Any:
        """Makes the run save and end, and requests another job that resumes it.

        Called in a signal handler during the call above.
        """
        import submitit

        end_run(self.logdir)
        return submitit.helpers.DelayedSubmission(SlurmTask(self.arguments, self.logdir))


class SlurmEngine(Engine):
    """Submits runs to Slurm through submitit, whose own files are in `folder`.

    The cluster `local` stands for processes on this machine. `options` are those of submitit, such
    as `slurm_partition` or `timeout_min`.
    """

    def __init__(
        self,
        folder: Path,
        cluster: str = 'slurm',
        jobs: int = 0,
        options: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(jobs)
        try:
            import submitit
        except ImportError as error:
            raise UsageError("--engine slurm needs submitit: pip install '.[cluster]'") from error
        self._submitit = submitit
        try:
            self._executor = submitit.AutoExecutor(folder=str(folder), cluster=cluster)
            self._executor.update_parameters(**{'timeout_min': 24 * 60, **(options or {})})
        # Values of the wrong type are asserted.
        except (RuntimeError, NameError, TypeError, ValueError, AssertionError) as error:
            raise UsageError(f'--engine slurm: {printable(str(error), 300)}') from error
        # Jobs inherit the environment, and must be able to import this module.
        os.environ['PYTHONPATH'] = python_path()

    def _begin(self, job: Job) -> Any:
        return self._executor.submit(SlurmTask(job.arguments, job.logdir))

    def _code(self, active: Any) -> int | None:
        errors = self._submitit.core.utils
        try:
            return int(active.result()) if active.done() else None
        except (errors.FailedJobError, errors.UncompletedJobError):
            return LOST

    def _end(self, active: Any) -> None:
        active.cancel()


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
        '--retries', type=whole_number(), default=1, metavar='N', help='retries after a crash (1)'
    )


def check_arguments(args: argparse.Namespace) -> None:
    """Raises UsageError for impossible values of these flags."""
    if args.gpus_per_run is not None:
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
    _slurm_options(args.slurm)


def make_engine(args: argparse.Namespace, root: Path) -> Engine:
    """The engine that the flags choose, for runs below `root`.

    Raises UsageError where flags are incompatible or no cluster is found.
    """
    if args.engine == 'ray':
        return RayEngine(args.address, args.jobs, args.cpus_per_run, args.gpus_per_run or 0.0)
    if args.engine == 'slurm':
        options = {
            'cpus_per_task': math.ceil(args.cpus_per_run),
            'gpus_per_node': math.ceil(args.gpus_per_run or 0),
            **_slurm_options(args.slurm),
        }
        return SlurmEngine(root / 'slurm', jobs=args.jobs, options=options)
    return LocalEngine(args.jobs, args.gpus, args.gpus_per_run or 1.0)


def _check_share(share: float, engine: str) -> None:
    """Raises UsageError for a fraction of a GPU that an engine cannot provide."""
    shared, whole = LEAST_SHARE <= share <= 1, share in range(1, MOST_GPUS + 1)
    fits, expected = {
        'local': (shared, f'a share from {LEAST_SHARE} to 1, such as 0.5 for two runs on each GPU'),
        'ray': (
            shared or whole,
            f'a share from {LEAST_SHARE} to 1, or a whole number up to {MOST_GPUS}',
        ),
        'slurm': (
            whole or share == 0,
            f'a whole number up to {MOST_GPUS}: Slurm gives whole GPUs',
        ),
    }[engine]
    if not fits:
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


def _slurm_options(text: str) -> dict[str, str | int | float]:
    options: dict[str, str | int | float] = {}
    for option in filter(None, text.split(',')):
        key, equals, value = option.partition('=')
        if not key or not equals:
            raise UsageError(f'--slurm {option}: expected KEY=VALUE')
        kind = int if value.isdecimal() else float if re.fullmatch(r'\d+\.\d+', value) else str
        options[key] = kind(value)
    return options


def _numbers(text: str) -> list[int]:
    if not all(part.isdecimal() and len(part) < 6 for part in text.split(',')):
        raise argparse.ArgumentTypeError(f'{text!r} is not a list of GPUs such as 0,1')
    return [int(part) for part in text.split(',')]
