"""Videos of the best run of each stage, from `videos/` in the logdirs."""

import contextlib
import dataclasses
import itertools
import math
import pathlib
from collections.abc import Callable, Mapping

import numpy as np

from dreamerv2.analysis import curves, study
from dreamerv2.analysis.study import Place, Study
from dreamerv2.analysis.table import Run
from dreamerv2.analysis.text import first_few, short, short_frames

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

    @property
    def caption(self) -> str:
        """Its name and, where it is known, the score."""
        known = math.isfinite(self.score)
        return f'{self.name}; normalised score {short(self.score)}' if known else self.name


def best_videos(data: Study) -> list[Video]:
    """Videos of the best run of each stage that has any, at most `MOST` in all.

    Files that are larger than `LARGEST` bytes or not whole are passed over.
    """
    shelves = [
        [Video(place, run, path, content, score) for path, content in _whole_files(run)]
        for place, run, score in best_runs(data, lambda run: bool(_whole_files(run)))
    ]
    # One of each stage before a second one of any.
    chosen = [video for row in itertools.zip_longest(*shelves) for video in row if video]
    return sorted(chosen[:MOST], key=lambda video: video.place.order)


def best_runs(
    data: Study, usable: Callable[[Run], bool] = lambda run: True
) -> list[tuple[Place, Run, float]]:
    """The best of the usable runs of each stage, with its normalised score (NaN: no scale).

    It is that with the highest score at its end, the mean over its levels; where levels have no
    scale, that with the highest return.
    """
    levels = tuple({level: None for run in data.runs.values() for level in run.levels})
    random = study.random_returns(data, levels)
    tops, _ = curves.seed_mean(study.level_values(data, ('baseline', '', levels), data.plan.frames))
    scale = dict(zip(levels, zip(random, tops, strict=True), strict=True))
    best: dict[str, tuple[tuple[bool, float], Place, Run, float]] = {}
    for place, run in sorted(data.runs.items(), key=lambda item: item[0].order):
        if not usable(run):
            continue
        score, value = final_score(run, scale)
        rank = (True, score) if math.isfinite(score) else (False, value)
        if place.stage not in best or rank > best[place.stage][0]:
            best[place.stage] = rank, place, run, score
    return [found[1:] for found in best.values()]


def final_score(run: Run, scale: Mapping[str, tuple[float, float]]) -> tuple[float, float]:
    """(Normalised score, return) at a run's end, means over its levels; NaN where unknown."""
    series = {level: run.on_level('train_return', level) for level in run.levels}
    values = {level: x.values[-20:].mean() for level, x in series.items() if x}
    if not values:
        return math.nan, -math.inf
    scores = [curves.normalised_score(value, *scale[level]) for level, value in values.items()]
    return float(np.mean(scores)), float(np.mean(list(values.values())))


def _whole_files(run: Run) -> list[tuple[pathlib.Path, bytes]]:
    """Videos of a run up to `LARGEST` bytes that are whole and what their name says."""
    found = []
    for path in sorted((run.path / VIDEOS).glob('*')):
        suffix, content = path.suffix.lower(), b''
        with contextlib.suppress(OSError):
            if suffix in _MEDIA_TYPES and path.is_file() and path.stat().st_size <= LARGEST:
                content = path.read_bytes()
        gif = content[:6] in (b'GIF87a', b'GIF89a') and content.endswith(b';')
        mp4 = content[4:8] == b'ftyp' and b'moov' in content
        if gif if suffix == '.gif' else mp4:
            found.append((path, content))
    return found
