"""Runs as processes on this machine, some at a time."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Sequence

from dreamerv2.cores import usable_cores
from dreamerv2.errors import UsageError
from dreamerv2.studies.definition import Job
from dreamerv2.studies.process import start_process


class LocalEngine:
    """Starts runs and polls for those that have ended.

    Args:
        jobs: how many run at once; 0 for as many as fit on the GPUs, or one without GPUs.
        gpus: numbers of the GPUs to use; empty for whatever TensorFlow finds.
        gpus_per_run: fraction of a GPU that a run uses; 0.5 puts two on each.
    """

    def __init__(self, jobs: int = 0, gpus: Sequence[int] = (), gpus_per_run: float = 1.0) -> None:
        places = [str(gpu) for _ in range(int(1 / gpus_per_run + 1e-6)) for gpu in gpus]
        count = jobs or len(places) or 1
        if places and count > len(places):
            raise UsageError(
                f'--jobs {count}: {len(gpus)} GPUs at --gpus_per_run {gpus_per_run} have room for '
                f'{len(places)} runs; lower one or the other'
            )
        self._free: list[str] = (places or [''] * count)[:count]
        self._threads = max(1, usable_cores() // count)
        self._running: dict[Job, tuple[subprocess.Popen[bytes], str]] = {}

    @property
    def places(self) -> int:
        """How many runs can be active at once."""
        return len(self._free) + len(self._running)

    @property
    def has_room(self) -> bool:
        """Whether another run can be started."""
        return bool(self._free)

    @property
    def running(self) -> list[Job]:
        """The active runs."""
        return list(self._running)

    def start(self, job: Job) -> None:
        """Starts a run."""
        place = self._free.pop(0)
        env = {}
        if place:
            env['CUDA_VISIBLE_DEVICES'] = place
        if self.places > 1 and 'TF_NUM_INTRAOP_THREADS' not in os.environ:
            env['TF_NUM_INTRAOP_THREADS'] = str(self._threads)
        self._running[job] = start_process(job.arguments, job.logdir, env), place

    def poll(self) -> list[tuple[Job, int]]:
        """The runs that have ended since the last call, with their exit codes."""
        ended = []
        for job, (process, place) in list(self._running.items()):
            code = process.poll()
            if code is not None:
                del self._running[job]
                self._free.append(place)
                ended.append((job, code))
        return ended

    def stop(self) -> None:
        """Asks every run to save and end; does not wait."""
        for process, _ in self._running.values():
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)

    def close(self) -> None:
        """Nothing to release."""
