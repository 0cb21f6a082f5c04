"""The runs of a study: one job each, with the job it starts from."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from dreamerv2.config import load_config
from dreamerv2.errors import UsageError, nearest

from .definition import Definition

STAGES = ('baseline', 'pretrain', 'finetune', 'transfer')


@dataclasses.dataclass(frozen=True)
class Job:
    """One training run.

    Attributes:
        stage, set, level, seed: its part in the study; a baseline has no set, pre-training no
            level.
        task: what it is trained on.
        frames: how long.
        logdir: where.
        parent: the pre-training run's job that it starts from, or None.
        flags: the command-line flags of `train.py` that all runs of the study share.
        steps: agent steps, which `train.py` counts.
    """

    stage: str
    set: str
    level: str
    seed: int
    task: str
    frames: int
    steps: int
    logdir: Path
    flags: tuple[str, ...]
    parent: Job | None = None

    @property
    def name(self) -> str:
        """Such as `finetune/e4/3-1/0`; also its folder."""
        parts = (self.stage, self.set, self.level, str(self.seed))
        return '/'.join(part for part in parts if part)

    @property
    def place(self) -> dict[str, Any]:
        """What `study.json` in its logdir says; nothing for a run of no study."""
        if self.stage not in STAGES:
            return {}
        return {'stage': self.stage, 'set': self.set, 'level': self.level, 'seed': self.seed}

    @property
    def arguments(self) -> list[str]:
        """The command-line arguments of `train.py`."""
        own = ['--task', self.task, '--seed', str(self.seed), '--logdir', str(self.logdir)]
        if not any(flag.split('=')[0] == '--steps' for flag in self.flags):
            own += ['--steps', str(self.steps)]
        if self.parent is not None:
            repeat = self.frames // self.steps
            own += ['--init.from', f'{self.parent.logdir}@{self.parent.steps * repeat}']
        return [*self.flags, *own]


def make_jobs(definition: Definition, root: Path) -> list[Job]:
    """All runs of a study, those that others start from before them.

    Raises:
        UsageError: the budget is shorter than the prefill.
    """
    config = load_config(definition.flags)
    repeat = config.action_repeat
    steps = math.ceil(definition.frames / repeat)
    if steps <= config.prefill:
        raise UsageError(
            f'{definition.path}: frames {definition.frames} are {steps} agent steps, no more than '
            f'the prefill of {config.prefill}: raise frames, or lower config.prefill'
        )

    def job(stage: str, name: str, levels: Sequence[str], seed: int, parent: Job | None) -> Job:
        level = '' if stage == 'pretrain' else levels[0]
        folder = '/'.join(part for part in (stage, name, level, str(seed)) if part)
        return Job(
            stage=stage,
            set=name,
            level=level,
            seed=seed,
            task=definition.task(levels),
            frames=steps * repeat,
            steps=steps,
            logdir=root / folder,
            flags=tuple(definition.flags),
            parent=parent,
        )

    jobs = [job('baseline', '', [level], seed, None)
            for level in definition.baseline for seed in definition.seeds]  # fmt: skip
    parents = {
        (name, seed): job('pretrain', name, levels, seed, None)
        for name, levels in definition.sets.items()
        for seed in definition.seeds
    }
    jobs += parents.values()
    for stage, levels in (('finetune', definition.finetune), ('transfer', definition.transfer)):
        jobs += [
            job(stage, name, [level], seed, parent)
            for level in levels
            for (name, seed), parent in parents.items()
        ]
    return jobs


def select(
    jobs: Sequence[Job],
    *,
    stages: Collection[str] = (),
    sets: Collection[str] = (),
    levels: Collection[str] = (),
    seeds: Collection[int] = (),
) -> list[Job]:
    """Those of the jobs that are asked for; an empty collection asks for all.

    Raises:
        UsageError: something asked for is in none of them.
    """
    found = [job for job in jobs if not stages or job.stage in stages]
    for key, wanted in (('set', sets), ('level', levels), ('seed', seeds)):
        known = dict.fromkeys(getattr(job, key) for job in found)
        for value in wanted:
            if value not in known:
                names = [str(name) for name in known if name != '']
                hint = nearest(str(value).rpartition('_')[2], names) if key != 'seed' else ''
                raise UsageError(
                    f'--{key}s {value}: not in this study; there are {", ".join(names) or "none"}'
                    f'{f"; {hint}" if hint else ""}'
                )
        found = [job for job in found if not wanted or getattr(job, key) in wanted]
    return found
