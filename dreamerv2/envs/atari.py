"""Atari games, as DreamerV2 plays them.

Built on ale-py's emulator itself, the Arcade Learning Environment, which comes with the games. The
protocol is that of Machado et al. (2018, "Revisiting the Arcade Learning Environment", sections 4
and 5) in DreamerV2's variant (arXiv:2010.02193, section 3, and its code):

- An agent step repeats the action for 4 frames. The image is the maximum over the last two of them,
  since many games draw objects only every other frame; it is a single frame when frames are not
  repeated, or when the game ends before the last frame of a step. Gray values are the emulator's
  own. It is then resized by area averaging.
- An episode starts with 1 to 30 frames of no action, and ends with the game (terminal) or at
  `time_limit` (not terminal): 27000 agent steps in the preset, 30 minutes of play. Losing a life is
  neither shown to the agent nor ends the episode.
- Rewards are the game's own score, unclipped.
- An agent of one game has the actions that have an effect in it, as in DreamerV2's code. All 18 of
  the joystick, as Machado et al. recommend, are an option, and are used for several games.

Sticky actions are the emulator's own, drawn for every frame: with probability 0.25 a frame repeats
the action of the frame before instead of the chosen one, so that an action is delayed by a third of
a frame on average and then kept until the end of the step. Elsewhere in this project, as in the
thesis's Mario, one draw decides for a whole agent step (see `EpisodicEnvironment`): there, with
probability 0.2, the chosen action is not executed at all. The same probability thus makes Atari
less random than Mario.
"""

import base64
import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from dreamerv2.cli import did_you_mean
from dreamerv2.envs.contract import Observation, bookkeeping_spaces, spaces
from dreamerv2.envs.episodic import EpisodicEnvironment, shrink, versions
from dreamerv2.envs.tasks import GAMES, check_installed
from dreamerv2.errors import UsageError
from dreamerv2.quiet import import_quietly

MAX_NOOPS = 30
_NOOP = 0


def rom_path(game: str) -> Any:
    """Path of a game's ROM, the one whose MD5 ale-py has on record.

    Raises:
        UsageError: there is no such game, or ale-py, which has emulator and games, is missing.
    """
    if game not in GAMES:
        raise UsageError(f'unknown Atari game {game!r}{did_you_mean(game, GAMES, 3, lead="; ")}')
    check_installed(f'atari_{game}')
    return import_quietly('ale_py.roms').get_rom_path(game)


def rom_hash(game: str) -> str:
    """SHA-256 of a game's ROM; raises as `rom_path`."""
    return hashlib.sha256(rom_path(game).read_bytes()).hexdigest()


class AtariEnv(EpisodicEnvironment):
    """One Atari game.

    Args:
        game: in snake case, such as `space_invaders`; see `tasks.GAMES`.
        sticky: probability per frame of repeating the action of the last frame; see above.
        all_actions: all 18 actions of the joystick, the same for every game, instead of those that
            have an effect in this one.
        **options: see `EpisodicEnvironment`. From the seed follow the number of frames without
            action and the emulator's own random numbers.

    Raises:
        UsageError: there is no such game, or ale-py is not installed.
    """

    def __init__(
        self,
        game: str,
        *,
        action_repeat: int = 4,
        sticky: float = 0.25,
        all_actions: bool = False,
        **options: Any,
    ):
        super().__init__(action_repeat=action_repeat, **options)
        path, ale_py = rom_path(game), import_quietly('ale_py')
        ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)
        self._ale: Any = ale_py.ALEInterface()
        self._ale.setFloat('repeat_action_probability', sticky)
        self._ale.setInt('random_seed', int(self._rng.integers(1, 2**31)))
        self._ale.loadROM(path)
        self._make_state = ale_py.ALEState
        self._rom_hash = rom_hash(game)
        self._frame_sticky = sticky
        self._all_actions = all_actions
        self._frames = 0
        screen = self._ale.getScreenDims() + (() if self.grayscale else (3,))
        self._screen, self._screen_before = np.zeros(screen, np.uint8), np.zeros(screen, np.uint8)
        listed = self._ale.getLegalActionSet if all_actions else self._ale.getMinimalActionSet
        self._actions = listed()
        self.levels = [game]
        self.act_space = spaces.Discrete(len(self._actions))
        self.obs_space = {'image': self.image_space(), **bookkeeping_spaces(1)}

    def render(self) -> np.ndarray | None:
        """The whole screen in colour, uint8 `[210, 160, 3]` (a few games have more lines)."""
        return None if self._ale is None else self._ale.getScreenRGB()

    def close(self) -> None:
        super().close()
        self._ale = None

    def get_state(self) -> dict[str, Any]:
        # The emulator exposes its random state only together with that of the game.
        state = self._ale.cloneState(include_rng=True).serialize()
        return {**super().get_state(), 'emulator': base64.b64encode(state).decode()}

    def set_state(self, state: Mapping[str, Any]) -> None:
        super().set_state(state)
        self._ale.restoreState(self._make_state(base64.b64decode(state['emulator'])))

    def describe(self) -> dict[str, Any]:
        own = {'sticky': self._frame_sticky, 'all_actions': self._all_actions}
        return {
            'name': f'atari_{self.levels[0]}',
            'options': {**self.options(), **own},
            'packages': versions('ale-py', 'opencv-python-headless', 'numpy'),
            'rom_sha256': self._rom_hash,
        }

    def _begin(self) -> None:
        self._ale.reset_game()
        for _ in range(int(self._rng.integers(1, MAX_NOOPS + 1))):
            self._ale.act(_NOOP)
        self._frames = 0
        self._look()
        self._screen_before[:] = self._screen

    def _frame(self, action: int) -> tuple[float, bool, bool]:
        reward = self._ale.act(self._actions[action])
        over = self._ale.game_over()
        self._frames += 1
        if over and self._frames % self.action_repeat:
            self._look()
            self._screen_before[:] = self._screen
        elif self._frames % self.action_repeat in (0, self.action_repeat - 1):
            self._look()  # Reading a screen takes a quarter of the time of emulating a frame.
        return float(reward), over, False

    def _observe(self) -> Observation:
        seen = self._screen
        if self.action_repeat > 1:
            seen = np.maximum(self._screen_before, self._screen)
        return {'image': shrink(seen, self.size, grayscale=False)}

    def _look(self) -> None:
        """Read the emulator's screen, and keep the one read before."""
        self._screen, self._screen_before = self._screen_before, self._screen
        if self.grayscale:
            self._ale.getScreenGrayscale(self._screen)
        else:
            self._ale.getScreenRGB(self._screen)
