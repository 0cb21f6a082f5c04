"""Plays a little of several levels, to record a profile of the emulator.

Called by `build_emulator.py`; prints the path of the emulator that was used.
"""

from __future__ import annotations

import random

# Above ground, under water, by night and in a castle.
LEVELS = ((1, 1), (2, 2), (3, 1), (4, 4))
FRAMES = 200  # Of each.
BUTTONS = (128, 129, 130, 131, 64, 0, 1)  # Right with and without A and B, left, nothing, A.


def main() -> None:
    """Plays all levels with random buttons."""
    import nes_py
    from gym_super_mario_bros.smb_env import SuperMarioBrosEnv

    buttons = random.Random(0)
    for level in LEVELS:
        game = SuperMarioBrosEnv(target=level)
        ended = True
        for frame in range(FRAMES):
            if ended:
                game.reset()
            if frame % 8 == 0:
                button = buttons.choice(BUTTONS)
            *_, ended, _ = game.step(button)
        game.close()
    print(nes_py.__file__)


if __name__ == '__main__':
    main()
