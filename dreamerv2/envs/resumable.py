"""Environments that can go on in mid-episode, and whose observations are finite numbers."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from dreamerv2.envs.contract import Action, Environment, Observation
from dreamerv2.errors import UsageError


class ResumableEnv:
    """An environment that can go on in the middle of an episode.

    An environment that depends on nothing but its random numbers and its actions is again where it
    was once they are played again. Whether it is, is checked by the observation and the random
    numbers that come out.

    Args:
        env: what is played; everything not mentioned here is handed through.

    Attributes:
        start: state of the random numbers before the episode's reset.

    Raises:
        UsageError: from `reset` and `step`, when a reward or a vector is not finite.
    """

    def __init__(self, env: Environment):
        self._env = env
        self.start: dict[str, Any] = {}
        self._actions: list[int | list[float]] | None = None  # None: no episode is going on
        self._steps = 0
        self._latest: Observation = {}
        self._floats = [
            key
            for key, space in env.obs_space.items()
            if np.issubdtype(space.dtype, np.floating) and not key.startswith('log_')
        ]

    def __getattr__(self, name: str) -> Any:
        if name == '_env':  # While it is being copied there is none yet.
            raise AttributeError(name)
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
        """Take the state that `get_state` gave, which takes as long as the episode took.

        Returns:
            Whether an episode goes on; if not, the next call must be `reset`.
        """
        episode = state.get('episode')
        if episode is not None and self._play(episode) and self._plain_state() == state['env']:
            return True
        self._env.set_state(state['env'])
        self._actions = None
        return False

    def _play(self, episode: Mapping[str, Any]) -> bool:
        """Plays an episode again; whether it came out the same."""
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

    def _plain_state(self) -> Any:
        return json.loads(json.dumps(self._env.get_state()))


def digest(obs: Observation) -> str:
    """SHA-256 of an observation's content, in hexadecimal.

    `log_*` arrays are left out: checkpoints made before there were any are to match.
    """
    found = hashlib.sha256()
    for key in sorted(obs):
        value = np.asarray(obs[key])
        if key.startswith('log_') and value.ndim:
            continue
        found.update(f'{key} {value.dtype.str} {value.shape}'.encode())
        found.update(value.tobytes())
    return found.hexdigest()
