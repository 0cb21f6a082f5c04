"""Experiment trackers as outputs: they never end a run; a resumed run continues the same one."""

from __future__ import annotations

import importlib.util
import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from dreamerv2.errors import UsageError, printable
from dreamerv2.run.metrics import jsonl
from dreamerv2.run.metrics.logger import Output

logger = logging.getLogger(__name__)

PLAN = 'plan.json'  # At the root of a study.


class TrackedRun(Output, Protocol):
    """A run that a tracker has stored, as an output.

    Attributes:
        last_step: the last step it had when it was opened; -1 for a new run.
    """

    last_step: int


class Tracker:
    """Opens a tracker's run at the first metrics, and passes them on.

    The run gets each step of `metrics.jsonl` once. What it lacks is sent when it is opened: the
    last lines before a kill, or all of them if it was off until now. Steps that it has, and that a
    run repeats after it resumed from an earlier checkpoint, are left out. After an error the
    training continues without it.

    Args:
        name: of the tracker, for a warning.
        open_run: opens the run, or continues it.
        logdir: with a `metrics.jsonl`, which ends where this output begins.
    """

    def __init__(self, name: str, open_run: Callable[[], TrackedRun], logdir: Path) -> None:
        self._name = name
        self._open_run = open_run
        self._logdir = logdir
        self._size = (logdir / jsonl.METRICS).stat().st_size
        self._run: TrackedRun | None = None
        self._failed = False

    def write(self, step: int, scalars: Mapping[str, Any], videos: Mapping[str, Any]) -> None:
        """Passes on a step that the run does not have."""
        if not self._failed:
            self._attempt(self._write, step, scalars, videos)

    def close(self) -> None:
        """Closes the run."""
        if self._run is not None:
            self._attempt(self._run.close)

    def _write(self, step: int, scalars: Mapping[str, Any], videos: Mapping[str, Any]) -> None:
        if self._run is None:
            self._run = self._open_run()
            for earlier, metrics in jsonl.rows(self._logdir, self._size):
                if earlier > self._run.last_step:
                    self._run.write(earlier, metrics, {})
        if step > self._run.last_step:
            self._run.write(step, scalars, videos)

    def _attempt(self, action: Callable[..., None], *arguments: Any) -> None:
        try:
            action(*arguments)
        except Exception as error:  # Other people's code, their servers, a full disk.
            if not self._failed:
                reason = printable(f'{type(error).__name__}: {error}', 300)
                logger.warning('The run continues without %s: %s', self._name, reason)
            self._failed = True


def check_installed(key: str, package: str, install: str) -> None:
    """Raises UsageError where a package that a key needs is not installed."""
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:  # A mere folder of that name has no origin.
        raise UsageError(
            f"--{key} needs the package {install}: pip install '.[{package}]', or leave it out."
        )


def place(logdir: Path, task: str) -> tuple[str, str, str]:
    """Project, group and name of a run: a study, what differs in the seed, and the run.

    Outside studies the project is `dreamerv2` and the group is the task.
    """
    for root in logdir.parents:
        if (root / PLAN).exists():
            name = logdir.relative_to(root)
            return root.name, str(name.parent), str(name)
    return 'dreamerv2', task, os.sep.join(logdir.parts[-2:])
