"""The progress of each run of a study, read from its logdir."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from dreamerv2.durable import to_json, write_durably
from dreamerv2.run.logdir import folder, lock
from dreamerv2.studies.definition import Job

FAILURE = 'failure.json'
TAIL = 1 << 16  # bytes that are read from the end of a file
KINDS = ('finished', 'running', 'stopped', 'failed', 'blocked', 'waiting')


@dataclasses.dataclass(frozen=True)
class State:
    """The state of a run.

    Its kind is one of `KINDS`; `stopped` means that there is something to resume from, `blocked`
    that the run it starts from has failed.
    """

    kind: str
    frames: int = 0  # so far
    frames_per_second: float | None = None  # at the last log
    train_return: float | None = None  # of the last finished episode
    seconds_left: float | None = None  # at that speed
    error: str = ''  # the last line of output of a failed run
    host: str = ''  # where it runs


def read_states(jobs: Iterable[Job]) -> dict[Job, State]:
    """The state of every job, parents before their children."""
    states: dict[Job, State] = {}
    for job in jobs:
        state = read_state(job)
        if state.kind in ('waiting', 'stopped') and job.parent is not None:
            above = states.get(job.parent) or read_state(job.parent)
            if above.kind == 'failed':
                state = dataclasses.replace(
                    state, kind='blocked', error=f'{job.parent.name} failed'
                )
        states[job] = state
    return states


def read_state(job: Job) -> State:
    """The state of one job by itself."""
    done = folder.finished(job.logdir)
    rows = last_rows(job.logdir / 'metrics.jsonl')
    frames = max((row['step'] for row in rows if isinstance(row.get('step'), int)), default=0)
    fps, score = _last(rows, 'fps'), _last(rows, 'train_return')
    if done and done['step'] >= job.frames:
        return State('finished', done['step'], fps, score, 0.0)
    left = (job.frames - frames) / fps if fps else None
    holder = lock.holder_of(job.logdir)
    if holder is not None:
        return State('running', frames, fps, score, left, host=str(holder.get('host', '')))
    failure = read_failure(job)
    if failure is not None:
        return State('failed', frames, fps, score, left, str(failure.get('error', '')))
    started = frames > 0 or any((job.logdir / 'checkpoints').glob('[0-9]*'))
    return State('stopped' if started else 'waiting', frames, fps, score, left)


def last_rows(path: Path) -> list[dict[str, Any]]:
    """The last rows of a `metrics.jsonl`; incomplete or invalid lines are left out."""
    rows = []
    for line in end_of(path).split(b'\n'):
        with contextlib.suppress(ValueError):
            rows.append(json.loads(line))
    return [row for row in rows if isinstance(row, dict)]


def end_of(path: Path) -> bytes:
    """The last bytes of a file, which may begin within a line; empty where there is none."""
    try:
        with open(path, 'rb') as file:
            file.seek(max(0, file.seek(0, 2) - TAIL))
            return file.read()
    except OSError:
        return b''


def read_failure(job: Job) -> dict[str, Any] | None:
    """The content of a failed run's `failure.json`, or None."""
    try:
        content = json.loads((job.logdir / FAILURE).read_text())
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def write_failure(job: Job, code: int, error: str) -> None:
    """Records that a run has failed for good."""
    write_durably(job.logdir / FAILURE, to_json({'code': code, 'error': error}))


def _last(rows: list[dict[str, Any]], key: str) -> float | None:
    values = [row[key] for row in rows if isinstance(row.get(key), int | float)]
    return float(values[-1]) if values else None
