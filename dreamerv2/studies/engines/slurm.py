"""Runs as jobs of a Slurm cluster, through submitit."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from dreamerv2.errors import UsageError
from dreamerv2.studies.definition import Job
from dreamerv2.studies.process import end_run, python_path, run_process

LOST = 1  # counts as a crash: the run is retried


class SlurmTask:
    """A job of the cluster; submitit calls `checkpoint` before it is pre-empted."""

    def __init__(self, arguments: list[str], logdir: str) -> None:
        self.arguments = arguments
        self.logdir = logdir

    def __call__(self) -> int:
        """Runs to the end; returns the exit code."""
        return run_process(self.arguments, Path(self.logdir))

    def checkpoint(self) -> Any:
        """Makes the run save and end, and requests another job that resumes it.

        Called in a signal handler during the call above.
        """
        import submitit

        end_run(Path(self.logdir))
        return submitit.helpers.DelayedSubmission(SlurmTask(self.arguments, self.logdir))


class SlurmEngine:
    """Submits runs, and polls the cluster for those that have ended.

    Args:
        folder: for submitit's own files.
        cluster: `slurm`, or `local` for processes on this machine.
        jobs: how many are submitted at once; 0 for no limit.
        options: of submitit, such as `slurm_partition` or `timeout_min`.
    """

    def __init__(
        self,
        folder: Path,
        cluster: str = 'slurm',
        jobs: int = 0,
        options: dict[str, Any] | None = None,
    ) -> None:
        try:
            import submitit
        except ImportError as error:
            raise UsageError("--engine slurm needs submitit: pip install '.[cluster]'") from error
        try:
            self._executor = submitit.AutoExecutor(folder=str(folder), cluster=cluster)
            self._executor.update_parameters(**{'timeout_min': 24 * 60, **(options or {})})
        except (RuntimeError, NameError, TypeError, ValueError) as error:
            raise UsageError(f'--engine slurm: {error}') from error
        # Jobs inherit the environment, and must be able to import this module.
        os.environ['PYTHONPATH'] = python_path()
        self._jobs = jobs
        self._running: dict[Job, Any] = {}

    @property
    def places(self) -> int:
        """How many runs are submitted at once; 1 where there is no limit."""
        return self._jobs or 1

    @property
    def has_room(self) -> bool:
        """Whether another run can be submitted."""
        return not self._jobs or len(self._running) < self._jobs

    @property
    def running(self) -> list[Job]:
        """What has been submitted and has not ended."""
        return list(self._running)

    def start(self, job: Job) -> None:
        """Submits a run."""
        self._running[job] = self._executor.submit(SlurmTask(job.arguments, str(job.logdir)))

    def poll(self) -> list[tuple[Job, int]]:
        """The runs that have ended since the last call, with their exit codes."""
        ended = []
        for job, submitted in list(self._running.items()):
            if submitted.done():
                del self._running[job]
                ended.append((job, _code(submitted)))
        return ended

    def stop(self) -> None:
        """Cancels every job: the run in it gets the signal to save and end."""
        for submitted in self._running.values():
            submitted.cancel()

    def close(self) -> None:
        """Nothing to release."""


def _code(submitted: Any) -> int:
    import submitit

    try:
        return int(submitted.result())
    except (submitit.core.utils.FailedJobError, submitit.core.utils.UncompletedJobError):
        return LOST
