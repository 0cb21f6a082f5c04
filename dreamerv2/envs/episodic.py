"""What all single games share: episodes, action repeat, sticky actions and the time limit."""

import abc
from collections.abc import Mapping
from typing import Any

import numpy as np

from dreamerv2.envs.contract import Action, Environment, Observation, check_action


class EpisodicEnvironment(Environment):
    """Base of environments that play one game.

    A subclass sets `obs_space`, `act_space` and `levels`, and implements `_begin`, `_frame`,
    `_observe` and `describe`; what those return is put together here, so that all agree on it.

    Args:
        seed: seed of the environment's own generator.
        action_repeat: emulator frames for each agent step; their rewards are summed, and the
            repetition stops where the episode ends.
        sticky: probability that the action executed last is executed again in place of the chosen
            one, for a whole agent step. Never at the first step of an episode. One number is drawn
            in every step, whatever the probability, so that runs with the same seed stay aligned.
        time_limit: agent steps after which an episode is cut off, not terminal; 0 for none.
    """

    def __init__(
        self, *, seed: int = 0, action_repeat: int = 1, sticky: float = 0.0, time_limit: int = 0
    ):
        self.seed = seed
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
        """What the agent sees now and `log_*`, in arrays of their own."""

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
        if self.time_limit and self._steps >= self.time_limit:
            truncated = True
        self._over = bool(terminated or truncated)
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
        """The options that all of these environments have, for `describe`."""
        return {
            'seed': self.seed,
            'action_repeat': self.action_repeat,
            'sticky': self.sticky,
            'time_limit': self.time_limit,
        }

    def _assemble(self, reward: float, **flags: bool) -> Observation:
        observation = self._observe()
        observation['reward'] = np.float32(reward)
        observation.update({key: np.bool_(value) for key, value in flags.items()})
        observation['level'] = np.int32(0)
        return observation
