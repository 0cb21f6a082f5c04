"""Runs as tasks of a Ray cluster whose machines share the logdirs' file system."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from dreamerv2.errors import UsageError
from dreamerv2.studies.definition import Job
from dreamerv2.studies.process import python_path, run_process

LOST = 1  # counts as a crash: the run is retried
RETRIES = 5  # after a machine was lost


def run_on_node(arguments: list[str], logdir: str) -> int:
    """Runs on a machine of the cluster to the end, or saves when the task is cancelled."""
    return run_process(arguments, Path(logdir))


class RayEngine:
    """Submits runs to Ray, which finds a machine with room for each.

    A run whose machine is lost resumes from its checkpoint on another one.

    Args:
        address: of the cluster; empty starts one on this machine.
        jobs: how many are submitted at once; 0 for no limit.
        cpus_per_run, gpus_per_run: resources of a run.
    """

    def __init__(
        self, address: str = '', jobs: int = 0, cpus_per_run: float = 1.0, gpus_per_run: float = 0.0
    ) -> None:
        try:
            import ray
        except ImportError as error:
            raise UsageError("--engine ray needs Ray: pip install '.[cluster]'") from error
        self._ray = ray
        if not ray.is_initialized():
            try:
                ray.init(
                    address=address or None,
                    logging_level=logging.ERROR,
                    log_to_driver=False,
                    include_dashboard=False,
                    runtime_env={'env_vars': {'PYTHONPATH': python_path()}},
                )
            except (ConnectionError, ValueError, RuntimeError) as error:
                reason = str(error).strip().splitlines()[0]
                raise UsageError(f'--address {address}: no Ray cluster there ({reason})') from error
        self._submit = ray.remote(run_on_node).options(
            num_cpus=cpus_per_run, num_gpus=gpus_per_run, max_retries=RETRIES
        )
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
        self._running[job] = self._submit.remote(job.arguments, str(job.logdir))

    def poll(self) -> list[tuple[Job, int]]:
        """The runs that have ended since the last call, with their exit codes."""
        if not self._running:
            return []
        references = list(self._running.values())
        ready, _ = self._ray.wait(references, num_returns=len(references), timeout=0)
        ended = []
        for job, reference in list(self._running.items()):
            if reference in ready:
                del self._running[job]
                ended.append((job, self._code(reference)))
        return ended

    def stop(self) -> None:
        """Asks every run to save and end; those that have not started never do."""
        for reference in self._running.values():
            self._ray.cancel(reference)

    def close(self) -> None:
        """Disconnects from the cluster."""
        self._ray.shutdown()

    def _code(self, reference: Any) -> int:
        try:
            return int(self._ray.get(reference))
        except self._ray.exceptions.RayError:
            return LOST
