"""What of a study's runs is kept in an archive, and which of its runs a study accepts.

Kept are metrics, evaluations, provenance, reconstructions and videos; of the checkpoints only the
last one of a run that others start from, weights alone; of the episodes only those that figure 2
shows. So a lost machine costs the unfinished runs, and figures and report need the archive alone.
"""

from __future__ import annotations

import contextlib
import json
import tempfile
import zipfile
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

from dreamerv2 import archive, npz
from dreamerv2.config import Config, load_config
from dreamerv2.errors import StorageError, UsageError, printable
from dreamerv2.run import checkpoint
from dreamerv2.run.logdir import resume_policy
from dreamerv2.studies.definition import Job
from dreamerv2.studies.evaluations import FILE as EVALUATIONS
from dreamerv2.studies.reconstruct import FILE as RECONSTRUCTIONS
from dreamerv2.studies.state import read_state

DONE = 'done.json'
EPISODES = 'train_episodes'
DESCRIBED = ('config.yaml', 'provenance.json')  # kept without what is of one machine
VERBATIM = (
    DONE, 'study.json', 'metrics.jsonl', EVALUATIONS, RECONSTRUCTIONS, f'{EPISODES}/levels.json',
)  # fmt: skip
FIRST_ROWS = 9  # that an episode of figure 2 has at least
LOOKED_INTO = 60  # episodes of a run, for one of each level


class Archive:
    """Keeps the finished runs of a study in a folder, and gives back those that are missing."""

    def __init__(self, path: Path, jobs: Sequence[Job], root: Path) -> None:
        """Finds the runs that are there already and checks that they are runs of this study.

        Args:
            path: the archive; `restore` makes it.
            jobs: all runs of the study.
            root: of the study.

        Raises:
            UsageError: it cannot be an archive, a run in it is damaged, or of another study.
        """
        if path.resolve() == root.resolve():
            raise UsageError(f'--archive {path}: is the --logdir itself; give another folder')
        if path.exists():
            archive.check(path)
        self.path, self.root = path, root
        self._parents = {job.parent for job in jobs if job.parent is not None}
        self._shown = _first_of_each_level(jobs)
        there = [job for job in jobs if self._file(job).exists()]
        # Those that a longer study goes beyond are made anew.
        self._finished = [job for job in there if self._frames_of(job) >= job.frames]

    def missing(self) -> list[Job]:
        """Finished runs of which the study has nothing."""
        return [job for job in self._finished if not job.logdir.exists()]

    def restore(self, say: Callable[[str], Any]) -> None:
        """Makes the archive's folder if need be, and the logdirs of `missing`."""
        archive.make(self.path)
        for job in self._finished:
            if not job.logdir.exists():
                archive.unpack(self._file(job), job.logdir, self.root)
                say(f'{job.name}: from {self._file(job)}')
            elif read_state(job).kind != 'finished':
                say(f'{job.name}: resumes; delete {job.logdir} to use {self._file(job)} instead')

    def keep(self, job: Job, say: Callable[[str], Any]) -> None:
        """Adds a finished run, or what has been made of it since; says why it cannot."""
        file = self._file(job)
        try:
            files = self._files(job)
            if missing := sorted({*DESCRIBED, DONE} - set(files)):
                raise UsageError(f'{job.logdir} has no {missing[0]}')
            if file.exists() and not self._may_replace(job, files, say):
                return
            # What has been deleted since stays in the archive.
            contents = archive.read(file) if job in self._finished else {}
            contents |= {name: path.read_bytes() for name, path in files.items()}
            size = archive.pack(file, contents | self._weights(job), self.root)
            say(f'{job.name}: archived, {size / 1e6:.2f} MB')
        except (OSError, StorageError, UsageError) as error:
            say(f'{job.name}: not archived: {printable(str(error), 300)}')

    def _file(self, job: Job) -> Path:
        return archive.file_of(self.path, job.name)

    def _frames_of(self, job: Job) -> int:
        """The frames of an archived run; raises UsageError where it is of another study."""
        file = self._file(job)
        contents = archive.read(file)
        try:
            step = int(json.loads(contents[DONE])['step'])
            with tempfile.TemporaryDirectory() as temporary:
                path = Path(temporary) / 'config.yaml'
                path.write_bytes(archive.placed('config.yaml', contents['config.yaml'], self.root))
                own, wanted = Config.load(path), load_config(job.arguments)
        except (ValueError, KeyError, TypeError, UsageError) as error:
            raise UsageError(
                f'{file} cannot be used ({printable(str(error), 200)}): delete it to make it anew'
            ) from None
        for change in resume_policy.changes(own, wanted):
            if change.reason or (change.acceptable and not wanted.accept_changes):
                raise UsageError(
                    f'{file} was made with {change}: give another --archive, or go back to the '
                    'settings of this one'
                )
        return step

    def _files(self, job: Job) -> dict[str, Path]:
        """The files that are kept, by their names."""
        found = [job.logdir / name for name in (*DESCRIBED, *VERBATIM)]
        found += sorted((job.logdir / 'videos').glob('[!.]*'))
        if levels := self._shown.get(job):
            found += first_episodes(job.logdir / EPISODES, levels)
        return {str(path.relative_to(job.logdir)): path for path in found if path.is_file()}

    def _may_replace(self, job: Job, files: dict[str, Path], say: Callable[[str], Any]) -> bool:
        """Whether a run replaces what is archived of it: it has more to keep, or went further."""
        if job not in self._finished:
            return True
        with zipfile.ZipFile(self._file(job)) as packed:
            if packed.read(DONE) != files[DONE].read_bytes():
                say(f'{job.name}: not archived: {self._file(job)} is of another run of it')
                return False
            kept = {entry.filename: entry.file_size for entry in packed.infolist()}
        return any(
            kept.get(name) != path.stat().st_size
            for name, path in files.items()
            if name not in DESCRIBED
        )

    def _weights(self, job: Job) -> dict[str, bytes]:
        """The last checkpoint of a run that others start from."""
        if job not in self._parents:
            return {}
        saved = checkpoint.find(job.logdir, job.frames)
        config = archive.described('config.yaml', saved.config_path.read_bytes(), self.root)
        with tempfile.TemporaryDirectory() as temporary:
            made = checkpoint.save_weights(
                saved, Path(temporary) / 'checkpoints', {'config.yaml': config}
            )
            return {str(path.relative_to(temporary)): path.read_bytes() for path in made.iterdir()}


def first_episodes(folder: Path, levels: Collection[int]) -> list[Path]:
    """The first episode of each level by its index that is long enough for figure 2.

    What cannot be read is left out.
    """
    found: dict[int, Path] = {}
    for path in sorted(folder.glob('*.npz'))[:LOOKED_INTO]:
        with contextlib.suppress(OSError, ValueError, KeyError):
            arrays = npz.read(path)
            index = int(arrays['level'][0]) if 'level' in arrays else 0
            if index in levels and len(arrays['reward']) >= FIRST_ROWS:
                found.setdefault(index, path)
        if len(found) == len(levels):
            break
    return list(found.values())


def _first_of_each_level(jobs: Sequence[Job]) -> dict[Job, set[int]]:
    """Of each setting and level the run from which figure 2 takes its frame, with its indices."""
    seen = set()
    found: dict[Job, set[int]] = {}
    for job in sorted(jobs, key=lambda job: (job.setting, job.place.order if job.place else ())):
        for index, level in enumerate(job.task.split('_', 1)[1].split('+')):
            if (job.setting, level) not in seen:
                seen.add((job.setting, level))
                found.setdefault(job, set()).add(index)
    return found
