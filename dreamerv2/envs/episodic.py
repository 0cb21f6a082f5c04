"""What single games share: small pictures, action repeat, sticky actions, limits, and resuming.

`EpisodicEnvironment` is the base of every game; `ResumableEnv` lets any environment resume in the
middle of an episode, and checks that what it gives is finite.
"""

from __future__ import annotations

import abc
import hashlib
import importlib.metadata
import json
from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np

from dreamerv2.envs.contract import Action, Environment, Observation, check_action, spaces
from dreamerv2.errors import UsageError

_CHANNELS = 4  # that OpenCV resizes together


def resize(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize uint8 `[height, width]` or `[height, width, channels]` by area averaging.

    Returns:
        uint8 `[*size, channels]`; one channel where there was no channel axis.
    """
    if image.shape[:2] != tuple(size):
        if image.ndim == 3 and image.shape[2] > _CHANNELS:
            starts = range(0, image.shape[2], _CHANNELS)
            groups = [resize(image[:, :, start : start + _CHANNELS], size) for start in starts]
            return np.concatenate(groups, -1)
        image = np.ascontiguousarray(image)
        image = cv2.resize(image, (size[1], size[0]), interpolation=cv2.INTER_AREA)
    return image if image.ndim == 3 else image[:, :, None]  # OpenCV drops an axis of one channel


def shrink(image: np.ndarray, size: tuple[int, int], grayscale: bool) -> np.ndarray:
    """Turn a picture into what the agent sees.

    Gray is computed before resizing, with OpenCV's weights (0.299, 0.587, 0.114).

    Args:
        image: uint8 `[height, width]` or `[height, width, channels]`; three channels are RGB.
        size: (height, width) of the result.
        grayscale: whether RGB becomes one channel; other numbers of channels are kept.

    Returns:
        uint8 `[*size, channels]`, contiguous, sharing no memory with the input.
    """
    if grayscale and image.ndim == 3 and image.shape[2] == 3:
        image = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY)
    return np.array(resize(image, size), np.uint8, order='C')


def as_rgb(images: np.ndarray) -> np.ndarray:
    """Pictures for people, uint8 `[..., height, width, 3]` from `[..., height, width, channels]`.

    Three channels are unchanged; otherwise the last one, the newest of a stack, is shown in gray.
    """
    return images if images.shape[-1] == 3 else np.repeat(images[..., -1:], 3, axis=-1)


def versions(*packages: str) -> dict[str, str]:
    """Installed versions of packages, for `describe`."""
    return {name: importlib.metadata.version(name) for name in packages}


class EpisodicEnvironment(Environment):
    """Base of environments that play one game.

    A subclass sets `obs_space`, `act_space` and `levels`, and implements `_begin`, `_frame`,
    `_observe` and `describe`; their results are assembled here, so that all environments agree.

    Args:
        seed: seed of the environment's own generator.
        size: (height, width) of pictures.
        grayscale: whether pictures in colour become gray, with one channel.
        action_repeat: emulator frames per agent step; their rewards are summed, and the
            repetition stops where the episode ends.
        sticky: probability that the action executed last is executed again in place of the chosen
            one, for a whole agent step. Never at the first step of an episode. One number is drawn
            in every step, whatever the probability, to keep runs with the same seed aligned.
        time_limit: agent steps after which an episode is cut off, not terminal; 0 for none.
    """

    def __init__(
        self,
        *,
        seed: int = 0,
        size: tuple[int, int] = (64, 64),
        grayscale: bool = True,
        action_repeat: int = 1,
        sticky: float = 0.0,
        time_limit: int = 0,
    ):
        self.seed = seed
        self.size = size
        self.grayscale = grayscale
        self.action_repeat = action_repeat
        self.sticky = sticky
        self.time_limit = time_limit
        self._rng = np.random.default_rng(seed)
        self._over = True
        self._steps = 0
        self._executed: Any = None

    @abc.abstractmethod
    def _begin(self) -> None:
        """Start an episode."""

    @abc.abstractmethod
    def _frame(self, action: Any) -> tuple[float, bool, bool]:
        """Execute an action for one frame and return reward, terminated, truncated."""

    @abc.abstractmethod
    def _observe(self) -> Observation:
        """What the agent sees now and `log_*`, in new arrays."""

    def reset(self) -> Observation:
        self._begin()
        self._steps = 0
        self._executed = None
        self._over = False
        return self._assemble(0.0, is_first=True, is_last=False, is_terminal=False)

    def step(self, action: Action) -> Observation:
        if self._over:
            raise RuntimeError('the episode is over (or none was started): call reset() first')
        action = check_action(self.act_space, action)
        repeated = self._rng.random() < self.sticky
        if repeated and self._executed is not None:
            action = self._executed
        self._executed = action
        reward, terminated, truncated = 0.0, False, False
        for _ in range(self.action_repeat):
            frame_reward, terminated, truncated = self._frame(action)
            reward += frame_reward
            if terminated or truncated:
                break
        self._steps += 1
        limited = bool(self.time_limit) and self._steps >= self.time_limit
        self._over = bool(terminated or truncated or limited)
        return self._assemble(
            reward, is_first=False, is_last=self._over, is_terminal=bool(terminated)
        )

    def close(self) -> None:
        self._over = True

    def get_state(self) -> dict[str, Any]:
        return {'rng': self._rng.bit_generator.state}

    def set_state(self, state: Mapping[str, Any]) -> None:
        self._rng.bit_generator.state = state['rng']
        self._over = True

    def options(self) -> dict[str, Any]:
        """The options that all these environments have, for `describe`."""
        return {
            'seed': self.seed,
            'action_repeat': self.action_repeat,
            'sticky': self.sticky,
            'time_limit': self.time_limit,
            'size': list(self.size),
            'grayscale': self.grayscale,
        }

    def image_space(self) -> Any:
        """Space of a picture, uint8 `[*size, channels]`."""
        return spaces.Box(0, 255, (*self.size, 1 if self.grayscale else 3), np.uint8)

    def _assemble(self, reward: float, **flags: bool) -> Observation:
        observation = self._observe()
        observation['reward'] = np.float32(reward)
        observation.update({key: np.bool_(value) for key, value in flags.items()})
        observation['level'] = np.int32(0)
        return observation


class ResumableEnv:
    """An environment that can be resumed in the middle of an episode.

    If an environment depends only on its random numbers and actions, replaying them restores it.
    The resulting observation and random numbers are compared to verify that.

    Args:
        env: what is played; all other attributes are passed through.

    Attributes:
        start: state of the random numbers before the episode's reset.

    Raises:
        UsageError: from `reset` and `step`, when a reward or a vector is not finite.
    """

    def __init__(self, env: Environment):
        self._env = env
        self.start: dict[str, Any] = {}
        self._actions: list[int | list[float]] | None = None  # None: no episode is running
        self._steps = 0
        self._latest: Observation = {}
        self._floats = [
            key
            for key, space in env.obs_space.items()
            if np.issubdtype(space.dtype, np.floating) and not key.startswith('log_')
        ]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._env, name)

    def reset(self) -> Observation:
        """Start an episode; see `Environment.reset`."""
        self.start = self._env.get_state()
        self._latest = self._env.reset()
        self._steps = 0
        self._actions = []
        self._check_finite()
        return self._latest

    def step(self, action: Action) -> Observation:
        """Act for one agent step; see `Environment.step`."""
        self._latest = self._env.step(action)
        self._steps += 1
        if self._latest['is_last']:
            self._actions = None
        elif self._actions is not None:
            self._actions.append(np.asarray(action).tolist())
        self._check_finite()
        return self._latest

    def get_state(self) -> dict[str, Any]:
        """State of the random numbers and of the episode being played, JSON-able."""
        state: dict[str, Any] = {'env': self._env.get_state()}
        if self._actions is not None:
            state['episode'] = {
                'start': self.start,
                'actions': list(self._actions),
                'digest': digest(self._latest),
            }
        return state

    def set_state(self, state: Mapping[str, Any]) -> bool:
        """Restore the state from `get_state`, which takes as long as the episode took.

        Returns:
            Whether an episode is running; if not, the next call must be `reset`.
        """
        if 'episode' in state and self._play(state['episode']):
            after = json.loads(json.dumps(self._env.get_state()))
            if after == state['env']:
                return True
        self._env.set_state(state['env'])
        self._actions = None
        return False

    def _play(self, episode: Mapping[str, Any]) -> bool:
        """Replays an episode; returns whether it came out the same."""
        self._env.set_state(episode['start'])
        obs = self.reset()
        for action in episode['actions']:
            if obs['is_last']:
                return False
            obs = self.step(action if isinstance(action, int) else np.asarray(action, np.float32))
        return self._actions is not None and digest(obs) == episode['digest']

    def _check_finite(self) -> None:
        for key in self._floats:
            if not np.isfinite(self._latest[key]).all():
                level = self._env.levels[int(self._latest['level'])]
                raise UsageError(
                    f'The environment gave {key} {self._latest[key]} on level {level}, at step '
                    f'{self._steps} of an episode: expected finite numbers. It was made so: '
                    f'{json.dumps(self._env.describe())}'
                )


def digest(obs: Observation) -> str:
    """SHA-256 of an observation's content; without `log_*` arrays, as before they existed."""
    found = hashlib.sha256()
    for key in sorted(obs):
        value = np.asarray(obs[key])
        if key.startswith('log_') and value.ndim:
            continue
        found.update(f'{key} {value.dtype.str} {value.shape}'.encode())
        found.update(value.tobytes())
    return found.hexdigest()
