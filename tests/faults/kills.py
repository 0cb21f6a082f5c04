"""Kills the small writer at random moments by SIGKILL and looks at what it left behind.

    python -m tests.faults.kills --count 1000

After every kill each file under a final name is read and compared with what an uninterrupted run
has there. The next start tells whether the run can go on, from which row, and after how long.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from dreamerv2.replay import disk
from dreamerv2.run import checkpoint
from tests.faults import report, writer
from tests.faults.work import Reference, is_as_written

ROOT = Path(__file__).resolve().parents[2]
# Far more than a start takes; a writer that is silent for so long hangs.
PATIENCE = 300.0


class Kills:
    """The kills of one writer's folder and what was found after them.

    Attributes:
        corrupt: files under a final name that are damaged.
        wrong: those that are whole, but not what an uninterrupted run has.
        unresumable: starts that failed.
        lost: rows that each kill undid of a writer that had gone on.
        seconds: from the start of the process until it went on.
    """

    def __init__(self, folder: Path, seed: int = 0) -> None:
        self.folder = folder
        self.random = random.Random(seed)
        self.reference = Reference()
        self.corrupt: list[str] = []
        self.wrong: list[str] = []
        self.unresumable: list[str] = []
        self.lost: list[int] = []
        self.seconds: list[float] = []
        self.kills = 0
        self.saved = 0

    def kill_once(self) -> None:
        """Starts the writer, kills it, and looks."""
        (self.folder / 'progress').unlink(missing_ok=True)  # Of the writer before.
        started = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, '-m', 'tests.faults.writer', str(self.folder)],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        with process:
            try:
                self._live(process, started)
            finally:
                process.kill()
            if process.wait() != -9:
                self.unresumable.append(process.stderr.read().strip() or 'no message')
        self.kills += 1
        self._look()
        if (self.folder / 'progress').exists():
            self.lost.append(self._progress() - self.saved)

    def _live(self, process: subprocess.Popen, started: float) -> None:
        if self.random.random() < 0.2:  # Also while it starts.
            time.sleep(self.random.uniform(0, 0.5))
            return
        line = process.stdout.readline()
        if not line:
            process.wait()
            return
        self.seconds.append(time.perf_counter() - started)
        begun = int(line.split()[1])
        wanted = begun + self.random.randrange(3 * writer.SAVE_EVERY)
        while self._progress() < wanted and process.poll() is None:
            if time.perf_counter() - started > PATIENCE:
                raise TimeoutError(f'the writer stands still at row {self._progress()}')
            time.sleep(0.001)
        time.sleep(self.random.uniform(0, 0.05))

    def _progress(self) -> int:
        with contextlib.suppress(FileNotFoundError):
            return int.from_bytes((self.folder / 'progress').read_bytes(), 'little')
        return 0

    def _look(self) -> None:
        self.saved = 0
        for path in checkpoint.available(self.folder / 'checkpoints'):
            try:
                found = checkpoint.load(path)
            except checkpoint.DamagedCheckpointError as error:
                self.corrupt.append(str(error))
                continue
            self.saved = found.frames
            if found.arrays()['chain'].tobytes() != self.reference.chain(self.saved):
                self.wrong.append(str(path))
        for file in disk.list_files(self.folder / 'train_episodes'):
            try:
                if not is_as_written(disk.read_episode(file)):
                    self.wrong.append(str(file.path))
            except disk.DamagedEpisodeError as error:
                self.corrupt.append(str(error))

    def row(self) -> dict[str, object]:
        """What was found, in one row of a table."""
        return {
            'kills': self.kills,
            'corrupt': len(self.corrupt),
            'not as uninterrupted': len(self.wrong),
            'unresumable': len(self.unresumable),
            'rows kept': self.saved,
            'rows lost, median': statistics.median(self.lost or [0]),
            'rows lost, maximum': max(self.lost, default=0),
            'save every': writer.SAVE_EVERY,
            'resume (s), median': round(statistics.median(self.seconds or [0]), 2),
            'resume (s), maximum': round(max(self.seconds or [0]), 2),
        }


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the program; 0 if nothing was corrupt, wrong or beyond going on."""
    parser = argparse.ArgumentParser(
        prog='kills', description='Kills a small writer of episodes and checkpoints by SIGKILL.'
    )
    parser.add_argument('--count', type=int, default=1000, help='kills (1000)')
    parser.add_argument('--seed', type=int, default=0, help='of the random moments (0)')
    parser.add_argument('--json', type=Path, help='write the figures here too')
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        kills = Kills(Path(folder), arguments.seed)
        for _ in range(arguments.count):
            kills.kill_once()
        report.tell([kills.row()], arguments.json)
    faults = kills.corrupt + kills.wrong + kills.unresumable
    for line in faults[:20]:
        print(line, file=sys.stderr)
    return int(bool(faults))


if __name__ == '__main__':
    sys.exit(main())
