"""What the emulator computes, level by level: `python -m tests.envs.emulator_trace > FILE`.

`tests/reference/emulator_traces.json` was made so with nes-py 8.2.1 as pip builds it by itself
(`pip install --no-binary nes-py --target FOLDER nes-py==8.2.1`, and FOLDER in PYTHONPATH).
"""

import hashlib
import json
import random

from dreamerv2.quiet import quiet

LEVELS = [f'{world}-{stage}' for world in range(1, 9) for stage in range(1, 5)]
FRAMES = 240
# Right with B, with A and B, with A, and alone; left; down; up with right; nothing; A; B.
BUTTONS = (130, 131, 131, 129, 128, 64, 32, 144, 0, 1, 2)


def trace(level: str, frames: int = FRAMES) -> str:
    """SHA-256 of every picture and of all memory, frame by frame, in a level of Mario."""
    with quiet():
        from gym_super_mario_bros.smb_env import SuperMarioBrosEnv
    world, stage = level.split('-')
    game = SuperMarioBrosEnv(target=(int(world), int(stage)))
    draw = random.Random(level)
    digest = hashlib.sha256()
    ended = True
    for frame in range(frames):
        if ended:
            game.reset()
        if frame % 6 == 0:
            buttons = draw.choice(BUTTONS)
        *_, ended, _ = game.step(buttons)
        digest.update(game.screen.tobytes())
        digest.update(game.ram.tobytes())
    game.close()
    return digest.hexdigest()


if __name__ == '__main__':
    print(json.dumps({level: trace(level) for level in LEVELS}, indent=2))
