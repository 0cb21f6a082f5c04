"""Evaluates finished agents on levels that they have never, or no longer, trained on.

Pre-trained agents play every level of the study, zero-shot where it is not of their set. Agents
that began from one of those play the levels of its set, which they may have forgotten.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dreamerv2.durable import write_durably
from dreamerv2.studies.definition import STAGES, Definition, Job
from dreamerv2.studies.process import run_module
from dreamerv2.studies.reconstruct import FILE as RECONSTRUCTIONS

FILE = 'evaluations.jsonl'
EPISODES = 10
POLICY = 'train'  # These results are shown next to training returns.


def evaluate_finished(definition: Definition, say: Callable[[str], Any]) -> Callable[[Job], None]:
    """Makes a function that evaluates a finished run of a set.

    A pre-training run is evaluated on every level of the study, a run that began from one on the
    levels of its set. The results are `evaluations.jsonl` in its logdir, one row per level, and
    for pre-training `reconstructions.npz` of the first unseen level. Existing results are kept.
    Actions are sampled as in training, because they are compared with training returns.
    """

    def evaluate(job: Job) -> None:
        place = job.place
        if place is None or not STAGES[place.stage].of_set:
            return
        own, pretrained = definition.sets[place.set], STAGES[place.stage].on_set
        levels = definition.all_levels if pretrained else own
        file = job.logdir / FILE
        before = file.read_bytes() if file.exists() else b''
        # Evaluations of older studies are not with the training policy.
        if f'"policy": "{POLICY}"'.encode() not in before:
            say(f'{job.name}: evaluating on {len(levels)} levels')
            rows, failure = _evaluate(job, [definition.task([level]) for level in levels])
            if failure:
                say(f'{job.name}: could not be evaluated: {failure}')
            else:
                lines = ''.join(json.dumps(row) + '\n' for row in rows)
                write_durably(file, before + lines.encode())
        unseen = [level for level in levels if level not in own]
        if unseen and not (job.logdir / RECONSTRUCTIONS).exists():
            task = definition.task(unseen[:1])
            failure = run_module('dreamerv2.studies.reconstruct', job.logdir, '--task', task)
            if failure:
                say(f'{job.name}: no reconstructions: {failure}')

    return evaluate


def _evaluate(job: Job, tasks: list[str]) -> tuple[list[dict[str, Any]], str]:
    """A row per level, and why there are none."""
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder) / 'results.json'
        flags = ['--episodes', EPISODES, '--policy', POLICY, '--json', results]
        failure = run_module('dreamerv2.evaluate', job.logdir, '--tasks', *tasks, *flags)
        if failure:
            return [], failure
        found = json.loads(results.read_text())
    return [
        {'step': found['step'], 'level': level, 'policy': found['policy'], **entry['values']}
        for level, entry in found['levels'].items()
    ], ''
