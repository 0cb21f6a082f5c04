"""Levels of Super Mario Bros.

Built on the environment class of gym-super-mario-bros itself: Gym's wrappers around it expect
another `step` than nes-py's. The reward is the package's own: pixels moved to the right, minus
ticks of the game's clock, minus 25 for dying, clipped to +-15 per frame, and nothing for jumps of
more than 5 pixels (entering pipes).

Endings. The package ends a single-level episode, without saying why, when Mario is dying
(also by the clock, and by falling out of the picture) and when he reaches the flag or the axe; both
are terminal here, the latter with `log_completed` 1. What else it does, observed by playing and by
writing the emulator's memory (`tests/envs/test_mario_areas.py`):

- A pipe or a vine into a bonus area and back is played inside one frame: the package runs the
  emulator on until Mario can be moved again. The episode continues. Falling out of a bonus area in
  the clouds, by which the game returns to the level, counts as death in the package.
- The wrong way in a castle's maze moves Mario back by some pages: the episode continues.
- A warp pipe takes Mario to the first level of another world, and the package plays on there, under
  the old level's name. Here the episode ends as terminal and not completed, at the frame where he
  arrives.

`log_x` is the x of Mario in the level's main area (see `level_lengths`, also for the four levels
whose flag is in a separate area). In a bonus area it stays at the value with which he left.
`log_progress` is the largest x of the episode over the level's length (walking past the exit pipe,
towards a warp, does not count); 1 exactly when completed.

`log_player` and `log_enemies` are the boxes of Mario and of five enemies (see `sprites`) in pixels
of the image: top, left, bottom, right, zeros where there is none. They belong to the picture shown,
which the console draws from the memory of the frame before.
"""

import hashlib
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from dreamerv2.envs import sprites
from dreamerv2.envs.contract import Observation, bookkeeping_spaces, log_space, spaces
from dreamerv2.envs.episodic import EpisodicEnvironment, resize, versions
from dreamerv2.envs.level_lengths import EXIT_AREA, exit_offset, level_length, main_area_end
from dreamerv2.errors import UsageError
from dreamerv2.quiet import quiet

with quiet():
    from gym_super_mario_bros.actions import COMPLEX_MOVEMENT, RIGHT_ONLY, SIMPLE_MOVEMENT
    from gym_super_mario_bros.smb_env import SuperMarioBrosEnv

ACTIONS = {'complex': COMPLEX_MOVEMENT, 'simple': SIMPLE_MOVEMENT, 'right_only': RIGHT_ONLY}
_BUTTONS = {'right': 128, 'left': 64, 'down': 32, 'up': 16, 'B': 2, 'A': 1, 'NOOP': 0}
_WORLD, _STAGE, _AREA_LOW, _AREA_HIGH = 0x075F, 0x075C, 0x00E7, 0x00E8
_ALMOST_DONE = 0.999


def button_names(actions: str | Sequence[str]) -> list[list[str]]:
    """The buttons of each action.

    Args:
        actions: a name among `ACTIONS`, or combinations such as `right+A` and `NOOP`.

    Raises:
        UsageError: there is no such set or button.
    """
    if isinstance(actions, str):
        if actions not in ACTIONS:
            raise UsageError(
                f'mario_actions {actions!r}: expected {", ".join(ACTIONS)} or a list of buttons '
                "such as ['NOOP', 'right', 'right+A']"
            )
        return ACTIONS[actions]
    found = [action.split('+') for action in actions]
    for button in (button for action in found for button in action):
        if button not in _BUTTONS:
            raise UsageError(
                f'mario_actions: no button {button!r}; there are {", ".join(_BUTTONS)}'
            )
    return found


def button_bytes(actions: list[list[str]]) -> tuple[int, ...]:
    """The byte on the joypad's port for each combination of button names."""
    return tuple(sum(_BUTTONS[button] for button in action) for action in actions)


class _Game(SuperMarioBrosEnv):
    """The package's environment without reading score, coins and lives in every frame.

    Reading them takes longer than everything else done in Python for a frame.

    Attributes:
        drawn: the memory from which the picture on the screen was drawn.
    """

    drawn = bytes(2048)

    def step(self, action: int) -> tuple[Any, float, bool, dict[str, Any]]:
        self.drawn = self.ram.tobytes()
        return super().step(action)

    def _frame_advance(self, action: int) -> None:
        self.drawn = self.ram.tobytes()
        super()._frame_advance(action)

    def _get_info(self) -> dict[str, Any]:
        return {}


class MarioEnv(EpisodicEnvironment):
    """One level of Super Mario Bros.

    Args:
        level: `world-stage`, `1-1` to `8-4`.
        actions: `complex` (the package's 12), `simple` (7), `right_only` (5), or combinations of
            buttons such as `['NOOP', 'right', 'right+A']`.
        **options: see `EpisodicEnvironment`. Only sticky actions are random: the emulator itself is
            deterministic.

    Raises:
        UsageError: there is no such level.
    """

    def __init__(
        self,
        level: str,
        *,
        actions: str | Sequence[str] = 'complex',
        action_repeat: int = 4,
        sticky: float = 0.2,
        **options: Any,
    ):
        super().__init__(action_repeat=action_repeat, sticky=sticky, **options)
        self._length = level_length(level)
        self._main_area_end = main_area_end(level)
        self._exit_offset = exit_offset(level)
        world, stage = (int(number) for number in level.split('-'))
        self._buttons = button_bytes(button_names(actions))
        self._actions = actions if isinstance(actions, str) else list(actions)
        self._game: Any = _Game(target=(world, stage))
        self._screen = _raw_pixels(self._game.screen)
        self._home = (world - 1, stage - 1)
        self._main_area = self._area()
        with open(self._game._rom_path, 'rb') as rom:
            self._rom_hash = hashlib.sha256(rom.read()).hexdigest()
        self._x = self._furthest = 0
        self._completed = False
        self.levels = [level]
        self.act_space = spaces.Discrete(len(self._buttons))
        self.obs_space = {
            'image': self.image_space(),
            **bookkeeping_spaces(1),
            'log_x': log_space(),
            'log_completed': log_space(),
            'log_progress': log_space(),
            'log_player': log_space(4),
            'log_enemies': log_space(sprites.SLOTS, 4),
        }
        height, width = self.size
        self._scale = np.array([height / 240, width / 256] * 2, np.float32)

    def render(self) -> np.ndarray:
        """The whole screen in colour, uint8 `[240, 256, 3]` (RGB)."""
        return cv2.cvtColor(self._screen, cv2.COLOR_BGRA2RGB)

    def close(self) -> None:
        super().close()
        if self._game is not None:
            self._screen = np.zeros_like(self._screen)
            self._game.close()
            self._game = None

    def describe(self) -> dict[str, Any]:
        return {
            'name': f'mario_{self.levels[0]}',
            'options': {**self.options(), 'actions': self._actions},
            'packages': versions('gym-super-mario-bros', 'nes-py', 'gym', 'opencv-python-headless'),
            'rom_sha256': self._rom_hash,
        }

    def _begin(self) -> None:
        self._game.reset()
        self._game.drawn = self._game.ram.tobytes()
        self._x = self._furthest = self._x_of_mario()
        self._completed = False

    def _frame(self, action: int) -> tuple[float, bool, bool]:
        _, reward, done, _ = self._game.step(self._buttons[action])
        if done and self._game._flag_get:
            self._completed = True
        ram = self._game.ram
        if (ram[_WORLD], ram[_STAGE]) != self._home:
            return reward, True, False
        self._locate()
        return reward, done, False

    def _observe(self) -> Observation:
        code = cv2.COLOR_BGRA2GRAY if self.grayscale else cv2.COLOR_BGRA2RGB
        progress = min(self._furthest / self._length, _ALMOST_DONE)
        drawn = self._game.drawn
        return {
            'image': resize(cv2.cvtColor(self._screen, code), self.size),
            'log_x': np.float32(self._x),
            'log_completed': np.float32(self._completed),
            'log_progress': np.float32(1.0 if self._completed else progress),
            'log_player': np.array(sprites.player_box(drawn), np.float32) * self._scale,
            'log_enemies': np.array(sprites.enemy_boxes(drawn), np.float32) * self._scale,
        }

    def _x_of_mario(self) -> int:
        return int(self._game.ram[0x6D]) * 256 + int(self._game.ram[0x86])

    def _area(self) -> int:
        return int(self._game.ram[_AREA_LOW]) + 256 * int(self._game.ram[_AREA_HIGH])

    def _locate(self) -> None:
        # Both after the frame. The package's own x is from before Mario went through a pipe, and
        # would be mistaken for one in the area behind it.
        x, area = self._x_of_mario(), self._area()
        if area == self._main_area:
            self._x = x
            self._furthest = max(self._furthest, min(x, self._main_area_end))
        elif area == EXIT_AREA and self._exit_offset is not None:
            self._x = x + self._exit_offset
            self._furthest = max(self._furthest, self._x)


def _raw_pixels(screen: np.ndarray) -> np.ndarray:
    """The emulator's own picture behind nes-py's RGB view of it.

    OpenCV needs contiguous channels in order, and copying the reversed view takes ten times as long
    as everything else done to a frame. From nes-py's `[240, 256, 3]` view of 32-bit pixels (blue,
    green, red, unused) this makes a contiguous one of the same memory, `[240, 256, 4]`. It is live:
    callers must copy (colour conversion does).
    """
    height, width, _ = screen.shape
    if screen.strides != (4 * width, 4, -1):  # As on a big-endian machine.
        raise RuntimeError(f'unexpected layout of the screen: strides {screen.strides}')
    blue = screen[:, :, 2:]
    return np.lib.stride_tricks.as_strided(blue, (height, width, 4), (4 * width, 4, 1))
