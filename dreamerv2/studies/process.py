"""One run as a process, and the package's other commands."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dreamerv2.run.logdir.lock import holder_of

PACKAGE = Path(__file__).resolve().parents[1]
TRAIN = PACKAGE / 'train.py'
LOG = 'output.log'
END_WITH_PARENT = 1  # prctl's PR_SET_PDEATHSIG
PATIENCE = 300.0  # seconds for a run's previous process to save and end


def python_path() -> str:
    """`PYTHONPATH` with which other processes find this package."""
    return os.pathsep.join(filter(None, [str(PACKAGE.parent), os.environ.get('PYTHONPATH')]))


def run_module(name: str, *arguments: Any) -> str:
    """Runs a module of this package to its end; returns why it failed, '' if it did not."""
    ended = subprocess.run(
        [sys.executable, '-m', name, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        cwd=PACKAGE.parent,  # where Python finds this copy of the package first
    )
    lines = ended.stderr.strip().splitlines() or ['no output']
    return lines[-1] if ended.returncode else ''


def start_process(
    arguments: Sequence[str], logdir: Path, env: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Starts `train.py`; its output goes to `output.log` in its logdir.

    It gets the signal to save and end when the process that started it dies in any way.

    Args:
        arguments: its command-line arguments.
        logdir: an existing folder.
        env: environment variables to add.
    """
    with open(logdir / LOG, 'ab') as log:
        return subprocess.Popen(
            [sys.executable, str(TRAIN), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, 'PYTHONUNBUFFERED': '1', **(env or {})},
            # Its own process group: Ctrl-C reaches it only through its parent.
            start_new_session=True,
            preexec_fn=_end_with_parent,
        )


def run_process(arguments: Sequence[str], logdir: Path, interval: float = 0.5) -> int:
    """Runs `train.py` to its end and returns its exit code.

    Waits first while another process holds the logdir, such as the run's previous process that is
    still saving. Asks the run to save and end on an interrupt, as when Ray cancels its task.
    """
    _wait_until_free(logdir, interval)
    process = start_process(arguments, logdir)
    asked = False
    while True:
        try:
            return process.wait(interval)
        except subprocess.TimeoutExpired:
            continue
        except KeyboardInterrupt:
            if not asked:
                asked = True
                process.send_signal(signal.SIGTERM)


def end_run(logdir: Path) -> bool:
    """Makes the process of this machine that uses a logdir save and end, and waits for it.

    Returns whether the logdir is free afterwards.
    """
    holder = holder_of(logdir)
    if holder is not None and holder.get('host') == socket.gethostname():
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(holder['pid']), signal.SIGTERM)
    return _wait_until_free(logdir, 0.2)


def _wait_until_free(logdir: Path, interval: float) -> bool:
    end = time.monotonic() + PATIENCE
    while holder_of(logdir) is not None:
        if time.monotonic() >= end:
            return False
        time.sleep(interval)
    return True


def _end_with_parent() -> None:
    """In the new process: SIGTERM when the thread that started it is gone (Linux)."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(END_WITH_PARENT, signal.SIGTERM)
