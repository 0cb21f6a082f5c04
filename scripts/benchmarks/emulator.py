"""The NES emulator alone: frames a second, and what it computes, as a hash."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from dreamerv2.errors import UsageError

from .children import in_child

EPISODE = 600  # Frames until the game is set back to the start of its level.
BUTTONS = (128, 129, 130, 131, 64, 0, 1)  # Right with and without A and B, left, nothing, A.
CHECKED = 50  # Every so many frames the screen and the memory go into the hash.


class BareGame:
    """Level 1-1 in nes-py itself with fixed buttons, without anything of ours."""

    def __init__(self) -> None:
        from dreamerv2.quiet import quiet

        with quiet():
            from gym_super_mario_bros.smb_env import SuperMarioBrosEnv
        self._game: Any = SuperMarioBrosEnv(target=(1, 1))
        self._buttons = np.random.default_rng(0).choice(BUTTONS, EPISODE // 8).repeat(8)
        self._frame = 0
        self._digest = hashlib.sha256()

    def restart(self) -> None:
        """Plays on from the start of the level."""
        self._frame = 0

    def play(self, frames: int) -> float:
        """Plays on, in whole pieces of `CHECKED` frames; seconds of the emulator's own calls."""
        spent = 0.0
        for _ in range(0, frames, CHECKED):
            if self._frame % EPISODE == 0:
                self._frame = 0
                self._game.reset()
            chosen = self._buttons[self._frame : self._frame + CHECKED].tolist()
            self._frame += CHECKED
            before = time.perf_counter()
            for button in chosen:
                self._game._frame_advance(button)
            spent += time.perf_counter() - before
            self._digest.update(self._game.screen.tobytes())
            self._digest.update(self._game.ram.tobytes())
        return spent

    def rate(self, frames: int) -> float:
        """Frames a second over `frames`, a multiple of `CHECKED`."""
        return frames / self.play(frames)

    def trace(self) -> str:
        """A hash of what was drawn and remembered so far."""
        return self._digest.hexdigest()

    def close(self) -> None:
        """Lets go of the emulator."""
        self._game.close()


@contextlib.contextmanager
def preferred(packages: Path | None) -> Iterator[None]:
    """This process imports the nes-py of a folder, if one is given.

    Raises:
        RuntimeError: another one had been imported already.
    """
    if packages is None:
        yield
        return
    sys.path.insert(0, str(packages))
    try:
        import nes_py

        if not Path(nes_py.__file__).is_relative_to(packages):
            raise RuntimeError(f'the emulator of {packages} was not used')
        yield
    finally:
        sys.path.remove(str(packages))


def in_process(frames: int, packages: Path | None = None) -> dict[str, Any]:
    """`rate` and `hash` of play in a process of its own, with the nes-py of a folder if given."""
    return in_child(_play, frames, packages)


def _play(frames: int, packages: Path | None) -> dict[str, Any]:
    with preferred(packages):
        game = BareGame()
        return {'rate': game.rate(frames), 'hash': game.trace()}


@contextlib.contextmanager
def plain_build(say: Callable[[str], Any]) -> Iterator[Path]:
    """A folder with nes-py as pip builds it, without what `scripts/setup.sh` does for speed.

    Raises:
        UsageError: it cannot be built.
    """
    say('Building the plain emulator.')
    version = importlib.metadata.version('nes-py')
    plain = {k: v for k, v in os.environ.items() if k not in ('CFLAGS', 'CXXFLAGS', 'LDFLAGS')}
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder).resolve()
        command = ['-m', 'pip', 'install', '--quiet', '--no-deps', '--no-cache-dir']
        command += ['--no-build-isolation', '--no-binary', 'nes-py', '--target', str(target)]
        result = subprocess.run(
            [sys.executable, *command, f'nes-py=={version}'],
            env=plain, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if result.returncode:
            reason = (result.stderr.strip().splitlines() or ['pip failed'])[-1]
            raise UsageError(f'--plain: nes-py cannot be built: {reason}')
        yield target
