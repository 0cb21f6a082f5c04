"""The NES emulator alone: frames a second, and what it computes, as a hash.

As a program, `python -m benchmarks.emulator FRAMES`, it prints both as JSON, so that another build
of nes-py can be put before the installed one and compared.
"""

from __future__ import annotations

import concurrent.futures
import hashlib
import importlib.metadata
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

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


def in_process(frames: int, packages: Path | None = None) -> dict[str, Any]:
    """Plays in a process of its own, with the nes-py of a folder in place of the installed one.

    Returns:
        `rate`, `hash` and `file`, the place of the nes-py that was used.
    """
    environment = {**os.environ}
    if packages:
        environment['PYTHONPATH'] = str(packages)
    result = subprocess.run(
        [sys.executable, '-W', 'ignore', '-m', 'benchmarks.emulator', str(frames)],
        cwd=Path(__file__).resolve().parents[1],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(result.stdout.splitlines()[-1])


def at_once(count: int, frames: int) -> float:
    """Frames a second of `count` processes together, each with an emulator of its own."""
    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        results = pool.map(in_process, [frames] * count)
        return sum(result['rate'] for result in results)


def build_plain(target: Path) -> str | None:
    """Builds nes-py as pip does by itself, without what `scripts/setup.sh` does for speed.

    Args:
        target: folder that the package is put into.

    Returns:
        None, or why it did not work.
    """
    version = importlib.metadata.version('nes-py')
    plain = {k: v for k, v in os.environ.items() if k not in ('CFLAGS', 'CXXFLAGS', 'LDFLAGS')}
    command = ['-m', 'pip', 'install', '--quiet', '--no-deps', '--no-cache-dir']
    command += ['--no-build-isolation', '--no-binary', 'nes-py', '--target', str(target)]
    result = subprocess.run(
        [sys.executable, *command, f'nes-py=={version}'],
        env=plain, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if result.returncode == 0:
        return None
    return (result.stderr.strip().splitlines() or ['pip failed'])[-1]


def main() -> None:
    """Prints the rate and the hash."""
    import nes_py

    game = BareGame()
    rate = game.rate(int(sys.argv[1]))
    print(json.dumps({'rate': rate, 'hash': game.trace(), 'file': nes_py.__file__}))


if __name__ == '__main__':
    main()
