"""What a pre-trained agent can do on every level of the study before it is trained on it."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dreamerv2.config import load_config
from dreamerv2.run.files import write_durably

from .definition import Definition
from .jobs import Job

EVALUATE = Path(__file__).resolve().parents[2] / 'dreamerv2' / 'evaluate.py'
FILE = 'evaluations.jsonl'
EPISODES = 10


def evaluate_parents(
    definition: Definition, say: Callable[[str], Any], episodes: int = EPISODES
) -> Callable[[Job], None]:
    """A function that plays a finished pre-training run's agent on every level of the study.

    The result is `evaluations.jsonl` in its logdir, one row a level; where it is there already,
    nothing is done.
    """
    levels = dict.fromkeys(
        [*sum(definition.sets.values(), ()), *definition.finetune, *definition.transfer]
    )
    policy = load_config(definition.flags).eval_policy

    def evaluate(job: Job) -> None:
        target = job.logdir / FILE
        if job.stage != 'pretrain' or target.exists():
            return
        say(f'{job.name}: is evaluated on {len(levels)} levels')
        with tempfile.TemporaryDirectory() as folder:
            results = Path(folder) / 'results.json'
            command = [sys.executable, str(EVALUATE), str(job.logdir)]
            command += ['--tasks', *(definition.task([level]) for level in levels)]
            command += ['--episodes', str(episodes), '--policy', policy, '--json', str(results)]
            ended = subprocess.run(command, capture_output=True, text=True, check=False)
            if ended.returncode != 0:
                reason = (ended.stderr.strip().splitlines() or ['no output'])[-1]
                say(f'{job.name}: could not be evaluated: {reason}')
                return
            found = json.loads(results.read_text())
        rows = [
            {'step': found['step'], 'level': level, 'policy': found['policy'], **entry['values']}
            for level, entry in found['levels'].items()
        ]
        write_durably(target, ''.join(json.dumps(row) + '\n' for row in rows).encode())

    return evaluate
