"""Evaluations of a finished run on single levels, as `evaluations.jsonl` in its logdir has them.

A row is the evaluation of one checkpoint on one level, with a number an episode:
`{"step": frames, "level": "1-1", "returns": [...], "progress": [...], "completed": [...],
"policy": "train"}`. Those of a pre-training run on levels that it has not seen are its zero-shot
transfer.
"""

import dataclasses
import json
import math
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np

EVALUATIONS = 'evaluations.jsonl'
# Policies of `evaluate.py` that may stand beside training returns, the best first: the one that
# plays in training, and its draws without exploration noise.
AS_IN_TRAINING = ('train', 'sample')
_COLUMNS = {'train_return': 'returns', 'train_progress': 'progress', 'train_completed': 'completed'}


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """Episodes of one checkpoint on one level.

    `values` has an array float64 `[episodes]` a metric, by the name that training gives it
    (`train_return`, `train_progress`, `train_completed`); a metric that was not recorded is not
    there.
    """

    step: int
    level: str
    policy: str
    values: Mapping[str, np.ndarray]

    @property
    def episodes(self) -> int:
        """The number of episodes."""
        return len(self.values['train_return'])

    def mean(self, metric: str) -> float:
        """Mean of a metric over episodes, NaN where it was not recorded."""
        values = self.values.get(metric)
        return math.nan if values is None else float(values.mean())


def read_evaluations(logdir: pathlib.Path) -> tuple[dict[str, Evaluation], int]:
    """The evaluation of the last checkpoint on each level, and the number of bad lines.

    Where a checkpoint was evaluated on a level more than once, the policy of training is preferred,
    then sampled actions, and then the later row. Empty where there is no file.
    """
    try:
        lines = (logdir / EVALUATIONS).read_bytes().split(b'\n')
    except OSError:
        return {}, 0
    found: dict[str, Evaluation] = {}
    bad = 0
    for line in lines:
        if not line.strip():
            continue
        one = parse(line)
        if one is None:
            bad += 1
        elif one.level not in found or _rank(one) >= _rank(found[one.level]):
            found[one.level] = one
    return found, bad


def parse(line: bytes) -> Evaluation | None:
    """One row; None where it cannot be used."""
    try:
        row = json.loads(line)
        step, level, policy = int(row['step']), row['level'], str(row.get('policy', ''))
        values = {name: _numbers(row.get(key)) for name, key in _COLUMNS.items()}
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        return None
    kept = {name: array for name, array in values.items() if array is not None}
    if step < 0 or not isinstance(level, str) or 'train_return' not in kept:
        return None
    return Evaluation(step, level, policy, kept)


def _rank(one: Evaluation) -> tuple[int, int]:
    known = one.policy in AS_IN_TRAINING
    return one.step, -AS_IN_TRAINING.index(one.policy) if known else -len(AS_IN_TRAINING)


def _numbers(listed: Any) -> np.ndarray | None:
    """A list of finite numbers as float64 `[n]`; None where there is none, or nothing in it.

    Raises ValueError or TypeError where something else is in it.
    """
    if not listed or not isinstance(listed, list):
        return None
    values = np.array(listed, np.float64)
    if values.ndim != 1 or not np.isfinite(values).all():
        return None
    return values
