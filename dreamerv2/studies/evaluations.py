"""Evaluates pre-trained agents on every level of the study before they are trained on it."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dreamerv2.durable import write_durably
from dreamerv2.studies.definition import STAGES, Definition, Job
from dreamerv2.studies.process import PACKAGE
from dreamerv2.studies.reconstruct import FILE as RECONSTRUCTIONS

FILE = 'evaluations.jsonl'
EPISODES = 10
POLICY = 'train'  # These results are shown next to training returns.


def evaluate_parents(
    definition: Definition, say: Callable[[str], Any], episodes: int = EPISODES
) -> Callable[[Job], None]:
    """Makes a function that evaluates a finished pre-training run on every level of the study.

    The results are `evaluations.jsonl` in its logdir, one row per level, and `reconstructions.npz`
    of the first unseen level. Existing results are kept. Actions are sampled as in training,
    because they are compared with training returns.
    """
    levels = definition.all_levels

    def evaluate(job: Job) -> None:
        place = job.place
        if place is None or not STAGES[place.stage].on_set:
            return
        if not _evaluated(job.logdir / FILE):
            say(f'{job.name}: evaluating on {len(levels)} levels')
            tasks = [definition.task([level]) for level in levels]
            flags = ['--tasks', *tasks, '--episodes', str(episodes), '--policy', POLICY]
            _evaluate(job, flags, say)
        unseen = [level for level in levels if level not in definition.sets[place.set]]
        if unseen and not (job.logdir / RECONSTRUCTIONS).exists():
            task = definition.task(unseen[:1])
            command = ['dreamerv2.studies.reconstruct', job.logdir, '--task', task]
            _succeeds(command, f'{job.name}: no reconstructions', say)

    return evaluate


def _evaluate(job: Job, flags: list[str], say: Callable[[str], Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder) / 'results.json'
        command = ['dreamerv2.evaluate', job.logdir, *flags, '--json', results]
        if not _succeeds(command, f'{job.name}: could not be evaluated', say):
            return
        found = json.loads(results.read_text())
    rows = [
        {'step': found['step'], 'level': level, 'policy': found['policy'], **entry['values']}
        for level, entry in found['levels'].items()
    ]
    before = (job.logdir / FILE).read_bytes() if (job.logdir / FILE).exists() else b''
    after = ''.join(json.dumps(row) + '\n' for row in rows).encode()
    write_durably(job.logdir / FILE, before + after)


def _evaluated(path: Path) -> bool:
    """Whether a file has evaluations with the training policy; those of older studies do not."""
    return path.exists() and f'"policy": "{POLICY}"'.encode() in path.read_bytes()


def _succeeds(command: list[Any], otherwise: str, say: Callable[[str], Any]) -> bool:
    """Runs a module of this package; says why when it fails."""
    arguments = [sys.executable, '-m', *map(str, command)]
    # The folder where Python finds this copy of the package first.
    ended = subprocess.run(
        arguments, capture_output=True, text=True, check=False, cwd=PACKAGE.parent
    )
    if ended.returncode != 0:
        reason = (ended.stderr.strip().splitlines() or ['no output'])[-1]
        say(f'{otherwise}: {reason}')
    return ended.returncode == 0
