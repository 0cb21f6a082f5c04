"""Small environments of every kind, for the tests."""

import gym
import gymnasium
import numpy as np

from dreamerv2.envs.contract import bookkeeping_spaces, spaces
from dreamerv2.envs.episodic import EpisodicEnvironment


class OldGymEnv(gym.Env):
    """The old interface: `seed()`, `reset()` without info, `step()` with 4 values; an image."""

    observation_space = gym.spaces.Box(0, 255, (48, 40, 3), np.uint8)
    action_space = gym.spaces.Discrete(3)

    def __init__(self, length=6, truncated=False):
        self.length, self.truncated = length, truncated
        self.seeds = []
        self.closed = 0

    def seed(self, seed=None):
        self.seeds.append(seed)
        self.random = np.random.RandomState(seed % 2**31)

    def reset(self):
        self.steps = 0
        self.image = self.random.randint(0, 256, (48, 40, 3)).astype(np.uint8)
        return self.image

    def step(self, action):
        self.steps += 1
        self.image[...] = self.random.randint(0, 256, self.image.shape)  # one buffer, reused
        done = self.steps >= self.length
        info = {'TimeLimit.truncated': True} if done and self.truncated else {}
        return self.image, float(action), done, info

    def close(self):
        self.closed += 1


class NewGymnasiumEnv(gymnasium.Env):
    """The new interface: `reset(seed=)` with info, `step()` with 5 values; dict and box."""

    observation_space = gymnasium.spaces.Dict(
        {
            'camera': gymnasium.spaces.Box(0, 255, (3, 20, 30), np.uint8),
            'body': gymnasium.spaces.Dict(
                {
                    'angle': gymnasium.spaces.Box(-np.pi, np.pi, (2, 2), np.float64),
                    'gear': gymnasium.spaces.Discrete(4, start=-1),
                }
            ),
            'height': gymnasium.spaces.Box(0, 9, (), np.float32),
            'switches': gymnasium.spaces.MultiDiscrete([2, 3]),
        }
    )
    action_space = gymnasium.spaces.Box(
        np.array([0.0, -2.0, -np.inf], np.float32), np.array([10.0, 2.0, np.inf], np.float32)
    )

    def __init__(self, length=5, ends='terminated'):
        self.length, self.ends = length, ends
        self.actions = []

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.steps = 0
        return self._observation(), {}

    def step(self, action):
        self.actions.append(action)
        self.steps += 1
        over = self.steps >= self.length
        terminated = over and self.ends in ('terminated', 'both')
        truncated = over and self.ends in ('truncated', 'both')
        return self._observation(), 1.0, terminated, truncated, {}

    def _observation(self):
        draw = self.np_random
        return {
            'camera': draw.integers(0, 256, (3, 20, 30)).astype(np.uint8),
            'body': {'angle': draw.uniform(-1, 1, (2, 2)), 'gear': int(draw.integers(-1, 3))},
            'height': np.float32(draw.uniform(0, 9)),
            'switches': draw.integers((2, 3)),
        }


class Recorder(EpisodicEnvironment):
    """Notes which actions are executed in each frame; ends after a number of frames."""

    def __init__(self, frames=1000, name='recorder', actions=4, **options):
        super().__init__(**options)
        self.frames, self.name = frames, name
        self.executed = []
        self.levels = [name]
        self.act_space = spaces.Discrete(actions)
        self.obs_space = {'vector': spaces.Box(0, 1, (1,), np.float32), **bookkeeping_spaces(1)}

    def describe(self):
        return {'name': self.name, 'options': self.options(), 'packages': {}}

    def _begin(self):
        self.executed = []

    def _frame(self, action):
        self.executed.append(action)
        return 1.0, len(self.executed) >= self.frames, False

    def _observe(self):
        return {'vector': np.ones(1, np.float32)}
