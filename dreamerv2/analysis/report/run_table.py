"""Where each run of a study comes from and how far it is: what its logdir says of itself."""

import dataclasses
import os
import pathlib
from collections.abc import Mapping
from typing import Any

from dreamerv2.analysis import curves
from dreamerv2.analysis.study import Place, Study
from dreamerv2.analysis.table import Run
from dreamerv2.analysis.text import short, short_frames

HEAD = (
    'run',
    'state',
    'frames',
    'hours',
    'last return',
    'device',
    'revision',
    'started from',
    'folder',
)
_REVISION = 10


@dataclasses.dataclass(frozen=True)
class Facts:
    """One run in words; unknown entries are empty, `hours` is None."""

    place: Place
    folder: str
    state: str
    frames: int
    hours: float | None
    last_return: str
    device: str
    revision: str
    parent: str

    @property
    def cells(self) -> tuple[str, ...]:
        """As a row below `HEAD`."""
        hours = '' if self.hours is None else f'{self.hours:.2f}'
        return (
            str(self.place),
            self.state,
            short_frames(self.frames),
            hours,
            self.last_return,
            self.device,
            self.revision,
            self.parent,
            self.folder,
        )


def all_facts(data: Study, root: pathlib.Path) -> list[Facts]:
    """Every run of the study, by stage, set, level and seed."""
    order = sorted(data.runs, key=lambda place: place.order)
    return [facts(place, data.runs[place], data.plan.frames, root) for place in order]


def facts(place: Place, run: Run, total: int, root: pathlib.Path) -> Facts:
    """What one run's logdir tells; `total` is T, the frames of a whole run."""
    provenance = run.provenance
    return Facts(
        place,
        run.name,
        'finished' if run.done else f'unfinished, {100 * min(run.end / total, 1):.0f} % of T',
        run.end,
        training_hours(run),
        last_return(run),
        device(provenance),
        str(provenance.get('revision') or '')[:_REVISION] + _changed(provenance),
        parent(provenance, run, root),
    )


def training_hours(run: Run) -> float | None:
    """Hours of interaction and training after prefill, by the logged frames/s; None if not logged.

    Pauses of a run that was stopped and went on do not count.
    """
    speed = run.series.get('fps')
    if speed is None or not (speed.values > 0).any():
        return None
    begin = max((int(series.steps[-1]) for series in run.prefill.values()), default=0)
    seconds = 0.0
    for frame, value in zip(speed.steps, speed.values, strict=True):
        if value > 0 and frame > begin:
            seconds += (frame - begin) / value
            begin = int(frame)
    return seconds / 3600


def last_return(run: Run, window: int = 20) -> str:
    """Mean training return of the last 20 episodes in words, empty before the first."""
    series = run.series.get('train_return')
    if series is None:
        return ''
    return short(float(curves.moving_mean(series.values[-window:], window)[-1]))


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
    logdir, _, at = str(run.config.get('init.from') or '').partition('@')
    logdir = str(recorded.get('logdir') or recorded.get('path') or logdir)
    step = recorded.get('step', at)
    if not logdir:
        return ''
    name = os.path.relpath(os.path.realpath(logdir), os.path.realpath(root))
    if name.startswith('..'):
        name = os.sep.join(pathlib.PurePath(logdir).parts[-2:])
    digits = str(step).lstrip('0')
    return f'{name} at {short_frames(int(digits))}' if digits.isdecimal() else name


def _changed(provenance: Mapping[str, Any]) -> str:
    return '+changes' if str(provenance.get('revision') or '').endswith('+changes') else ''


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
