"""Runs as processes of this machine, some at a time."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from dreamerv2.errors import UsageError

from .jobs import Job

TRAIN = Path(__file__).resolve().parents[2] / 'dreamerv2' / 'train.py'
LOG = 'output.log'
END_WITH_PARENT = 1  # prctl's PR_SET_PDEATHSIG


class LocalEngine:
    """Starts runs and tells which have ended.

    A run gets the signal to save and end when this process dies in whatever way.

    Args:
        jobs: how many run at once; 0 for one a place on a GPU, or one without GPUs.
        gpus: numbers of the GPUs to use; empty for the CPU, or whatever TensorFlow finds.
        gpus_per_run: share of a GPU that a run takes; 0.5 puts two on each.
    """

    def __init__(self, jobs: int = 0, gpus: Sequence[int] = (), gpus_per_run: float = 1.0) -> None:
        if not 0 < gpus_per_run <= 1:
            raise UsageError(f'--gpus_per_run {gpus_per_run}: expected a share above 0 and up to 1')
        places = [str(gpu) for _ in range(int(1 / gpus_per_run + 1e-6)) for gpu in gpus]
        count = jobs or len(places) or 1
        if places and count > len(places):
            raise UsageError(
                f'--jobs {count}: {len(gpus)} GPUs at --gpus_per_run {gpus_per_run} have place for '
                f'{len(places)} runs; lower the one or the other'
            )
        self._free: list[str] = (places or [''] * count)[:count]
        self._threads = max(1, (os.cpu_count() or 1) // count)
        self._shared = count > 1
        self._running: dict[Job, tuple[subprocess.Popen[bytes], str]] = {}

    @property
    def places(self) -> int:
        """How many runs there can be at once."""
        return len(self._free) + len(self._running)

    @property
    def has_room(self) -> bool:
        """Whether another run can be started."""
        return bool(self._free)

    @property
    def running(self) -> list[Job]:
        """What runs now."""
        return list(self._running)

    def start(self, job: Job) -> None:
        """Starts a run; its output goes to `output.log` in its logdir."""
        place = self._free.pop(0)
        env = {**os.environ, 'PYTHONUNBUFFERED': '1'}
        if place:
            env['CUDA_VISIBLE_DEVICES'] = place
        if self._shared:
            env.setdefault('TF_NUM_INTRAOP_THREADS', str(self._threads))
        with open(job.logdir / LOG, 'ab') as log:
            process = subprocess.Popen(
                [sys.executable, str(TRAIN), *job.arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=env,
                # A group of its own: Ctrl-C reaches it through `stop` alone.
                start_new_session=True,
                preexec_fn=_end_with_parent,
            )
        self._running[job] = process, place

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


def _end_with_parent() -> None:
    """In the new process: SIGTERM when the one that started it is gone (Linux)."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(END_WITH_PARENT, signal.SIGTERM)
