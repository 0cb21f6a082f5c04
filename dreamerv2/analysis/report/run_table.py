"""Where each run of a study comes from and how far it is: what its logdir says of itself."""

import os
import pathlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from dreamerv2.analysis.study import Place, Study
from dreamerv2.analysis.table import Run
from dreamerv2.analysis.text import short, short_frames


class Facts(NamedTuple):
    """One run in words, a row of the report's table; what is not known is empty.

    `last_return` is the mean of the last 20 episodes.
    """

    run: str
    state: str
    frames: str
    hours: str
    last_return: str
    device: str
    revision: str
    started_from: str
    folder: str


HEAD = [name.replace('_', ' ') for name in Facts._fields]


def all_facts(data: Study, root: pathlib.Path) -> list[Facts]:
    """Every run of the study, by stage, set, level and seed."""
    order = sorted(data.runs, key=lambda place: place.order)
    return [facts(place, data.runs[place], data.plan.frames, root) for place in order]


def facts(place: Place, run: Run, total: int, root: pathlib.Path) -> Facts:
    """What one run's logdir tells; `total` is T, the frames of a whole run."""
    provenance = run.provenance
    hours, returns = training_hours(run), run.series.get('train_return')
    revision = str(provenance.get('revision') or '')
    return Facts(
        str(place),
        'finished' if run.done else f'unfinished, {100 * min(run.end / total, 1):.0f} % of T',
        short_frames(run.end),
        '' if hours is None else f'{hours:.2f}',
        '' if returns is None else short(float(returns.values[-20:].mean())),
        device(provenance),
        revision[:10] + '+changes' * revision.endswith('+changes'),
        parent(provenance, run, root),
        run.name,
    )


def training_hours(run: Run) -> float | None:
    """Hours of interaction and training after prefill, by the logged frames/s; None if not logged.

    Pauses of a run that was stopped and went on do not count.
    """
    speed = run.series.get('fps')
    if speed is None or not (speed.values > 0).any():
        return None
    begin = max((series.steps[-1] for series in run.prefill.values()), default=0)
    told = (speed.values > 0) & (speed.steps > begin)
    seconds = np.diff(speed.steps[told], prepend=begin) / speed.values[told]
    return float(seconds.sum()) / 3600


def device(provenance: Mapping[str, Any]) -> str:
    """What it was computed on: card or processor, its cores, and the precision."""
    host = _mapping(provenance.get('host'))
    name = str(host.get('name') or '')
    if host.get('kind') != 'gpu':
        name = str(host.get('processor') or name)
        if host.get('cores'):
            name += f', {host["cores"]} cores'
    return ', '.join(filter(None, (name, str(host.get('precision') or ''))))


def parent(provenance: Mapping[str, Any], run: Run, root: pathlib.Path) -> str:
    """The checkpoint it started from, `p/e4/0 at 10M`; empty for a run from nothing."""
    recorded = _mapping(provenance.get('parent'))
    logdir, at = run.started_from
    logdir = str(recorded.get('logdir') or recorded.get('path') or logdir)
    if not logdir:
        return ''
    name = os.path.relpath(os.path.realpath(logdir), os.path.realpath(root))
    if name.startswith('..'):
        name = os.sep.join(pathlib.PurePath(logdir).parts[-2:])
    digits = str(recorded.get('step', at)).lstrip('0')
    return f'{name} at {short_frames(int(digits))}' if digits.isdecimal() else name


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
