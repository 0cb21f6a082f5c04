"""Runs what is not finished of a study, in dependency order."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from dreamerv2.cli import BAD_INPUT, STOPPED
from dreamerv2.durable import to_json, write_durably
from dreamerv2.studies.definition import PLAN, Definition, Job, plan_of
from dreamerv2.studies.process import LOG
from dreamerv2.studies.state import clear_failure, read_failure, read_state, write_failure

LAST_LINE = 4096  # bytes read from the end of a run's output


class Engine(Protocol):
    """Where runs are executed."""

    @property
    def has_room(self) -> bool: ...

    @property
    def running(self) -> list[Job]: ...

    def start(self, job: Job) -> None: ...

    def poll(self) -> list[tuple[Job, int]]: ...

    def stop(self) -> None: ...

    def close(self) -> None: ...


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
) -> dict[str, list[Job]]:
    """Runs the jobs; each starts when its parent has finished and the engine has room.

    A run that was stopped is resumed, one that crashed is retried `retries` times. A run that
    another process is working on is waited for.

    Args:
        jobs: what to run; finished ones are skipped.
        engine: where.
        say: prints one line about each start and end.
        should_stop: whether to stop everything, with checkpoints.
        retries: further attempts after a crash.
        interval: seconds between polls.
        after: called with each run that has just finished.

    Returns:
        The jobs by how they ended: `finished`, `failed`, `blocked` and `stopped`.
    """
    pending = {job for job in jobs if read_state(job).kind != 'finished'}
    ended: dict[str, list[Job]] = {'finished': [], 'failed': [], 'blocked': [], 'stopped': []}
    ended['finished'] = [job for job in jobs if job not in pending]
    done = set(ended['finished'])
    attempts: dict[Job, int] = {}
    stopping = False
    for job in pending:
        clear_failure(job)
    while True:
        for job, code in engine.poll():
            state = read_state(job)
            if state.kind == 'finished':
                say(f'{job.name}: finished')
                ended['finished'].append(job)
                done.add(job)
                after(job)
            elif stopping:
                ended['stopped'].append(job)
            elif code == STOPPED or (code != BAD_INPUT and attempts[job] <= retries):
                what = 'was stopped' if code == STOPPED else f'ended with {describe(code)}'
                say(f'{job.name}: {what} at {state.frames} frames; resuming')
                pending.add(job)
            else:
                error = last_line(job.logdir / LOG)
                write_failure(job, code, error)
                say(f'{job.name}: failed with {describe(code)}: {error}')
                ended['failed'].append(job)
        if should_stop() and not stopping:
            stopping = True
            say(f'Stopping {len(engine.running)} runs, with checkpoints.')
            engine.stop()
        if not stopping:
            _start(jobs, pending, engine, ended, done, attempts, say)
        if not engine.running and (stopping or not pending):
            break
        time.sleep(interval)
    ended['stopped'] += sorted(pending, key=lambda job: job.name)
    return ended


def _start(
    jobs: Sequence[Job],
    pending: set[Job],
    engine: Engine,
    ended: dict[str, list[Job]],
    done: set[Job],
    attempts: dict[Job, int],
    say: Callable[[str], Any],
) -> None:
    for job in [job for job in jobs if job in pending]:
        parent = job.parent
        if parent is not None and (parent in ended['failed'] or read_failure(parent)):
            say(f'{job.name}: cannot start, {parent.name} has failed')
            pending.discard(job)
            ended['blocked'].append(job)
        elif engine.has_room and _ready(job, done):
            pending.discard(job)
            attempts[job] = attempts.get(job, 0) + 1
            job.logdir.mkdir(parents=True, exist_ok=True)
            if job.study:
                write_durably(job.logdir / 'study.json', to_json(job.study))
            say(f'{job.name}: starts')
            engine.start(job)


def _ready(job: Job, done: set[Job]) -> bool:
    parent = job.parent
    if parent is not None and parent not in done:
        if read_state(parent).kind != 'finished':
            return False
        done.add(parent)
    return read_state(job).kind != 'running'


def describe(code: int) -> str:
    """A process's exit code in words."""
    return f'signal {-code}' if code < 0 else f'exit code {code}'


def last_line(path: Path) -> str:
    """The last line of a run's output that is not empty."""
    try:
        with open(path, 'rb') as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - LAST_LINE))
            text = file.read().decode('utf-8', 'replace')
    except OSError:
        return 'no output'
    lines = [line.strip() for line in text.replace('\r', '\n').splitlines() if line.strip()]
    return lines[-1] if lines else 'no output'
