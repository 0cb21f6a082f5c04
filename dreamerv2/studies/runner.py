"""Runs what is not finished of a study, in dependency order."""

from __future__ import annotations

import collections
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from dreamerv2.cli import BAD_INPUT, FAILED, FINISHED, STOPPED
from dreamerv2.durable import to_json, write_durably
from dreamerv2.studies.definition import PLAN, Definition, Job, plan_of
from dreamerv2.studies.engines import Engine
from dreamerv2.studies.process import LOG
from dreamerv2.studies.state import (
    FAILURE,
    end_of,
    read_failure,
    read_state,
    read_states,
    write_failure,
)
from dreamerv2.studies.status_tables import summary_line


def write_plan(definition: Definition, root: Path) -> None:
    """Writes `plan.json` at the study's root, from which analysis knows what belongs to it."""
    write_durably(root / PLAN, to_json(plan_of(definition)))


def run_jobs(
    jobs: Sequence[Job],
    engine: Engine,
    *,
    say: Callable[[str], Any],
    should_stop: Callable[[], bool],
    retries: int = 1,
    interval: float = 1.0,
    after: Callable[[Job], Any] = lambda job: None,
    more: Callable[[], Sequence[Job]] = tuple,
    dropped: Callable[[Job], bool] = lambda job: False,
) -> dict[str, list[Job]]:
    """Runs the jobs; each starts when its parent has finished and the engine has room.

    Finished ones are skipped. A run that was stopped is resumed, one that crashed is retried
    `retries` times. A run that another process is working on is waited for. When `should_stop`,
    everything is stopped, with checkpoints.

    Args:
        jobs, engine: what to run where.
        say: prints one line about each start and end.
        interval: seconds between polls.
        after: called with each run that has just finished.
        more: further jobs, asked for when none is pending and there is room; none ends it.
        dropped: whether a job is no longer wanted; it is stopped, or not started.

    Returns:
        The jobs by how they ended: `finished`, `failed`, `blocked`, `stopped` and `dropped`.
    """
    kinds = ('finished', 'failed', 'blocked', 'stopped', 'dropped')
    ended: dict[str, list[Job]] = {kind: [] for kind in kinds}
    attempts: collections.Counter[Job] = collections.Counter()
    stopping = False
    pending: set[Job] = set()
    dropping: set[Job] = set()

    def add(new: Sequence[Job]) -> None:
        for job in new:
            if read_state(job).kind == 'finished':
                ended['finished'].append(job)
            else:
                (job.logdir / FAILURE).unlink(missing_ok=True)
                pending.add(job)

    add(jobs)
    while True:
        for job, code in engine.poll():
            state = read_state(job)
            if state.kind == 'finished':
                say(f'{job.name}: finished')
                ended['finished'].append(job)
                after(job)
            elif stopping:
                ended['stopped'].append(job)
            elif job in dropping:
                ended['dropped'].append(job)
            elif code == STOPPED or (code != BAD_INPUT and attempts[job] <= retries):
                what = 'was stopped' if code == STOPPED else f'ended with {_in_words(code)}'
                say(f'{job.name}: {what} at {state.frames} frames; resuming')
                pending.add(job)
            else:
                error = last_line(job.logdir / LOG)
                write_failure(job, code, error)
                say(f'{job.name}: failed with {_in_words(code)}: {error}')
                ended['failed'].append(job)
        if should_stop() and not stopping:
            stopping = True
            say(f'Stopping {len(engine.running)} runs, with checkpoints.')
            engine.stop()
        if not stopping:
            for job in [*pending, *engine.running]:
                if job not in dropping and dropped(job):
                    dropping.add(job)
                    if job in pending:
                        pending.discard(job)
                        ended['dropped'].append(job)
                    else:
                        engine.end(job)
            while not pending and engine.has_room and (new := more()):
                jobs = [*jobs, *new]
                add(new)
            for job in [job for job in jobs if job in pending]:
                if job.parent is not None and read_failure(job.parent):
                    say(f'{job.name}: cannot start, {job.parent.name} has failed')
                    pending.discard(job)
                    ended['blocked'].append(job)
                elif engine.has_room and _ready(job):
                    pending.discard(job)
                    attempts[job] += 1
                    _start(job, engine, say)
        if not engine.running and (stopping or not pending):
            break
        time.sleep(interval)
    ended['stopped'] += sorted(pending, key=lambda job: job.name)
    return ended


def conclude(jobs: Sequence[Job], ended: dict[str, list[Job]], say: Callable[[str], Any]) -> int:
    """Says how the jobs ended; returns the exit code: 0 all finished, 1 some failed, 75 stopped."""
    say(summary_line(read_states(jobs)))
    if ended['stopped']:
        say('The same command resumes from here.')
        return STOPPED
    return FAILED if ended['failed'] or ended['blocked'] else FINISHED


def _ready(job: Job) -> bool:
    if job.parent is not None and read_state(job.parent).kind != 'finished':
        return False
    return read_state(job).kind != 'running'


def _start(job: Job, engine: Engine, say: Callable[[str], Any]) -> None:
    job.logdir.mkdir(parents=True, exist_ok=True)
    if job.study:
        write_durably(job.logdir / 'study.json', to_json(job.study))
    say(f'{job.name}: starts')
    engine.start(job)


def _in_words(code: int) -> str:
    return f'signal {-code}' if code < 0 else f'exit code {code}'


def last_line(path: Path) -> str:
    """The last line of a run's output that is not empty."""
    text = end_of(path).decode('utf-8', 'replace')
    lines = [line.strip() for line in text.replace('\r', '\n').splitlines() if line.strip()]
    return lines[-1] if lines else 'no output'
