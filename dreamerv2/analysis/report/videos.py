"""Videos of the best run of each stage, from `videos/` in the logdirs."""

import dataclasses
import math
import pathlib
from collections.abc import Callable, Mapping

import numpy as np

from dreamerv2.analysis import curves, study
from dreamerv2.analysis.study import Place, Study
from dreamerv2.analysis.table import Run
from dreamerv2.analysis.text import first_few, short_frames
from dreamerv2.studies.definition import STAGES

VIDEOS = 'videos'
MOST = 6
LARGEST = 2_000_000
_MEDIA_TYPES = {'.gif': 'image/gif', '.mp4': 'video/mp4'}


@dataclasses.dataclass(frozen=True)
class Video:
    """A video file of a run; `score` is the run's normalised score, NaN where it has no scale."""

    place: Place
    run: Run
    path: pathlib.Path
    content: bytes
    score: float

    @property
    def media_type(self) -> str:
        """Such as `video/mp4`."""
        return _MEDIA_TYPES[self.path.suffix.lower()]

    @property
    def name(self) -> str:
        """Stage, level and seed: `pretrain e2 (1-1, 1-2), seed 0, after 10M frames`.

        A file is named after the frames of its checkpoint, or else is told by its name.
        """
        levels = self.place.level or f'({first_few(self.run.levels)})'
        agent = ' '.join(filter(None, (self.place.stage, self.place.set, levels)))
        frames = self.path.stem
        what = f'after {short_frames(int(frames))} frames' if frames.isdecimal() else self.path.name
        return f'{agent}, seed {self.place.seed}, {what}'


def best_videos(data: Study, *, most: int = MOST, largest: int = LARGEST) -> list[Video]:
    """Videos of the best run of each stage that has any, at most `most` in all.

    Files that are larger than `largest` bytes or not whole are passed over.
    """

    shelves = [
        [Video(place, run, path, content, score) for path, content in _whole_files(run, largest)]
        for place, run, score in best_runs(data, lambda run: bool(_whole_files(run, largest)))
    ]
    # One of each stage before a second one of any.
    rounds = max(map(len, shelves), default=0)
    chosen = [shelf[i] for i in range(rounds) for shelf in shelves if i < len(shelf)][:most]
    return sorted(chosen, key=lambda video: video.place.order)


def best_runs(
    data: Study, usable: Callable[[Run], bool] = lambda run: True
) -> list[tuple[Place, Run, float]]:
    """The best of the usable runs of each stage, with its normalised score (NaN: no scale).

    It is that with the highest score at its end, the mean over its levels; where levels have no
    scale, that with the highest return.
    """
    scale = _scales(data)
    found = []
    for stage in STAGES:
        candidates = []
        for place, run in sorted(data.runs.items()):
            if place.stage == stage and usable(run):
                score, value = final_score(run, scale)
                rank = (math.isfinite(score), score if math.isfinite(score) else value)
                candidates.append((rank, place, run, score))
        if candidates:
            found.append(max(candidates, key=lambda candidate: candidate[0])[1:])
    return found


def final_score(run: Run, scale: Mapping[str, tuple[float, float]]) -> tuple[float, float]:
    """(Normalised score, return) at a run's end, means over its levels; NaN where unknown."""
    scores, values = [], []
    for level in run.levels:
        series = run.on_level('train_return', level)
        if series is None:
            continue
        value = float(series.values[-20:].mean())
        values.append(value)
        scores.append(float(curves.normalised_score(value, *scale.get(level, (0.0, math.nan)))))
    if not values:
        return math.nan, -math.inf
    return float(np.mean(scores)), float(np.mean(values))


def _whole_files(run: Run, largest: int) -> list[tuple[pathlib.Path, bytes]]:
    """Videos of a run up to `largest` bytes that are whole and what their name says."""
    found = []
    for path in sorted((run.path / VIDEOS).glob('*')):
        suffix = path.suffix.lower()
        try:
            if suffix not in _MEDIA_TYPES or not path.is_file():
                continue
            if path.stat().st_size > largest:
                continue
            content = path.read_bytes()
        except OSError:
            continue
        if suffix == '.gif':
            whole = content[:6] in (b'GIF87a', b'GIF89a') and content.endswith(b';')
        else:
            whole = content[4:8] == b'ftyp' and b'moov' in content
        if whole:
            found.append((path, content))
    return found


def _scales(data: Study) -> dict[str, tuple[float, float]]:
    """(Return of the random policy, mean return of the baselines at T) of each level."""
    levels = tuple({level: None for run in data.runs.values() for level in run.levels})
    random = study.random_returns(data, levels)
    tops, _ = curves.seed_mean(study.level_values(data, 'baseline', '', levels, data.plan.frames))
    return {x: (float(a), float(b)) for x, a, b in zip(levels, random, tops, strict=True)}
