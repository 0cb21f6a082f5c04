"""The progress of each run of a study, read from its logdir."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from dreamerv2.durable import to_json, write_durably
from dreamerv2.run.logdir import folder, lock
from dreamerv2.studies.definition import Job

FAILURE = 'failure.json'
TAIL = 1 << 16  # bytes of metrics.jsonl that are read from its end
KINDS = ('finished', 'running', 'stopped', 'failed', 'blocked', 'waiting')


@dataclasses.dataclass(frozen=True)
class State:
    """The state of a run.

    Attributes:
        kind: `finished`; `running`; `stopped`, with a checkpoint or episodes to resume from;
            `failed`; `blocked`, because the run it starts from has failed; or `waiting`.
        frames: frames so far.
        frames_per_second: at the last log; None before.
        train_return: of the last finished episode; None before.
        seconds_left: at that speed; None where unknown.
        error: the last line of output of a failed run.
        host: where it runs.
    """

    kind: str
    frames: int = 0
    frames_per_second: float | None = None
    train_return: float | None = None
    seconds_left: float | None = None
    error: str = ''
    host: str = ''


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
    try:
        with open(path, 'rb') as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - TAIL))
            lines = file.read().split(b'\n')
    except OSError:
        return []
    rows = []
    for line in lines[1 if size > TAIL else 0 :]:
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict):
            rows.append(row)
    return rows


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


def clear_failure(job: Job) -> None:
    """Allows a failed run to be tried again."""
    (job.logdir / FAILURE).unlink(missing_ok=True)


def _last(rows: list[dict[str, Any]], key: str) -> float | None:
    values = [row[key] for row in rows if isinstance(row.get(key), int | float)]
    return float(values[-1]) if values else None
