"""One training run per logdir: a lock file with the owner's host and process."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import socket
import threading
import time
from pathlib import Path
from typing import Any

from dreamerv2.durable import explained, to_json
from dreamerv2.errors import UsageError

REFRESH_SECONDS = 10.0
SILENCE_SECONDS = 60.0


class LockLostError(Exception):
    """Another process has taken the logdir over."""


def process_start(pid: int) -> str | None:
    """Start time of a process of this machine in clock ticks; None if it is gone.

    Together with the process id it identifies a process, since ids are reused.
    """
    try:
        stat = Path(f'/proc/{pid}/stat').read_text()
    except OSError:
        if Path('/proc/self/stat').exists():
            return None
        try:  # No `/proc`, as on macOS.
            os.kill(pid, 0)
        except ProcessLookupError:
            return None
        except PermissionError:
            pass
        return ''
    fields = stat.rpartition(')')[2].split()
    return None if fields[0] == 'Z' else fields[19]


def abandoned(path: Path, holder: dict[str, Any]) -> bool:
    """Whether the owner of a lock is gone, given its file and content."""
    if holder.get('host') == socket.gethostname():
        pid = holder.get('pid')
        start = process_start(pid) if isinstance(pid, int) else None
        return start is None or start != holder.get('start')
    try:
        return time.time() - path.stat().st_mtime > SILENCE_SECONDS
    except FileNotFoundError:
        return True


def holder_of(logdir: Path) -> dict[str, Any] | None:
    """Host and process that hold a logdir now, or None."""
    path = logdir / 'lock'
    holder = _read(path)
    return None if holder is None or abandoned(path, holder) else holder


def in_use(logdir: Path, holder: dict[str, Any]) -> str:
    """The error message for a logdir that another process holds."""
    # Without a process the lock cannot be read: it may be being written.
    known = 'pid' in holder
    who = f'process {holder["pid"]} on {holder.get("host")}' if known else 'another process'
    return f'{logdir} is in use by {who}: stop that run, or choose another --logdir.'


class Lock:
    """Holds a logdir for this process while entered as a context.

    A thread refreshes the file every `refresh` seconds. A lock of this host whose process is gone
    is taken over at once; one of another host after 60 s of silence.
    """

    def __init__(self, logdir: Path, *, refresh: float = REFRESH_SECONDS) -> None:
        self.path = logdir / 'lock'
        self._refresh = refresh
        self._owner = {
            'host': socket.gethostname(),
            'pid': os.getpid(),
            'start': process_start(os.getpid()),
            'token': secrets.token_hex(8),
        }
        self._released = threading.Event()
        self._lost = False
        self._thread = threading.Thread(target=self._keep, name='lock', daemon=True)

    def __enter__(self) -> Lock:
        """Takes the lock; raises UsageError, with host and process, where another one holds it."""
        while not self._create():
            holder = _read(self.path)
            if holder is None:
                continue
            if not abandoned(self.path, holder):
                raise UsageError(in_use(self.path.parent, holder))
            self._remove(holder)
        self._thread.start()
        return self

    def __exit__(self, *unused: object) -> None:
        self._released.set()
        self._thread.join()
        if self._is_mine():
            self.path.unlink(missing_ok=True)

    def check(self) -> None:
        """Raises LockLostError when another process has taken the logdir over meanwhile."""
        if self._lost:
            holder = _read(self.path) or {}
            raise LockLostError(
                f'{self.path.parent} was taken over by process {holder.get("pid")} on '
                f'{holder.get("host")}: this run ends without saving.'
            )

    def _create(self) -> bool:
        # Written under another name and linked, so that nobody ever reads half a lock.
        temporary = self.path.with_name(f'.lock.{self._owner["token"]}')
        content = to_json(self._owner)
        with explained(self.path, len(content)), contextlib.suppress(FileExistsError):
            try:
                temporary.write_bytes(content)
                os.link(temporary, self.path)
            except FileExistsError:
                raise
            except OSError:
                # No hard links here, as on many network drives. Created and written in two steps;
                # in between it reads as a lock of an unknown owner.
                with open(self.path, 'xb') as file:
                    file.write(content)
            finally:
                with contextlib.suppress(OSError):
                    temporary.unlink(missing_ok=True)
            return True
        return False

    def _remove(self, holder: dict[str, Any]) -> None:
        """Removes an abandoned lock, unless somebody else has taken it over meanwhile."""
        stale = self.path.with_name(f'.lock.stale.{self._owner["token"]}')
        try:
            os.rename(self.path, stale)
        except FileNotFoundError:
            return
        if (_read(stale) or {}).get('token') != holder.get('token'):
            os.rename(stale, self.path)
        else:
            stale.unlink(missing_ok=True)

    def _is_mine(self) -> bool:
        return (_read(self.path) or {}).get('token') == self._owner['token']

    def _keep(self) -> None:
        while not self._released.wait(self._refresh):
            if not self._is_mine():
                self._lost = True
                return
            # A network file system may fail for a moment; the next update tries again.
            with contextlib.suppress(OSError):
                os.utime(self.path)


def _read(path: Path) -> dict[str, Any] | None:
    """The content of a lock; empty where it cannot be read, None where there is none."""
    try:
        content = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        content = {}
    return content if isinstance(content, dict) else {}
