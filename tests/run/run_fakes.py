"""A tiny environment and a NumPy agent with the interfaces of the real ones, for fast tests."""

import json
import pathlib
import sys
import time

import numpy as np

from dreamerv2.config import load_config
from dreamerv2.envs.contract import Environment, spaces
from dreamerv2.envs.workers import InProcess
from dreamerv2.run import random_streams
from dreamerv2.run.build import Parts
from dreamerv2.run.devices import Device
from dreamerv2.run.driver import RandomPolicy
from dreamerv2.run.training import train

SIZE = 8


class CountingEnv(Environment):
    """Episodes of `length` steps; every image holds the count of resets and the step in it.

    The reward is the episode's random number (drawn at its reset) plus the action, so that both
    the random state and the actions show in the returns.
    """

    def __init__(self, length=10, levels=('a',), seed=0, actions=3, terminal=True):
        self.length, self.levels, self.terminal = length, list(levels), terminal
        self.act_space = spaces.Discrete(actions)
        scalar = {key: spaces.Box(0, 1, (), bool) for key in ('is_first', 'is_last', 'is_terminal')}
        self.obs_space = {
            'image': spaces.Box(0, 255, (SIZE, SIZE, 1), np.uint8),
            'reward': spaces.Box(-np.inf, np.inf, (), np.float32),
            **scalar,
            'level': spaces.Box(0, len(levels), (), np.int32),
            'log_x': spaces.Box(-np.inf, np.inf, (), np.float32),
            'log_progress': spaces.Box(-np.inf, np.inf, (), np.float32),
            'log_completed': spaces.Box(-np.inf, np.inf, (), np.float32),
        }
        self.rng = np.random.default_rng(seed)
        self.resets = self.closed = 0
        self.actions = []
        self.step_count = None

    def reset(self):
        self.resets += 1
        self.step_count = 0
        self.base = float(self.rng.integers(100))
        self.level = int(self.rng.integers(len(self.levels)))
        return self.observe(0.0)

    def step(self, action):
        assert isinstance(action, int)
        assert self.step_count is not None and self.step_count < self.length
        self.actions.append(action)
        self.step_count += 1
        return self.observe(self.base + action)

    def observe(self, reward):
        last = self.step_count == self.length
        image = np.full((SIZE, SIZE, 1), self.resets % 256, np.uint8)
        image[0] = self.step_count % 256
        return {
            'image': image,
            'reward': np.float32(reward),
            'is_first': np.bool_(self.step_count == 0),
            'is_last': np.bool_(last),
            'is_terminal': np.bool_(last and self.terminal),
            'level': np.int32(self.level),
            'log_x': np.float32(self.step_count * 2),
            'log_progress': np.float32(self.step_count / self.length),
            'log_completed': np.float32(last),
        }

    def get_state(self):
        return {'rng': self.rng.bit_generator.state, 'resets': self.resets}

    def set_state(self, state):
        self.rng.bit_generator.state = state['rng']
        self.resets = state['resets']

    def describe(self):
        return {'name': 'counting', 'options': {'length': self.length}}

    def close(self):
        self.closed += 1


class Forgetful(CountingEnv):
    """Its first observation depends on more than its state."""

    def observe(self, reward):
        obs = super().observe(reward)
        return {**obs, 'image': obs['image'] + self.forgotten}


def in_process(envs):
    return InProcess([lambda env=env: env for env in envs])


def random_policy(env, seed=0):
    return RandomPolicy(env.act_space, random_streams.generator(seed, 'random_policy'))


class NumpyAgent:
    """Acts at random from its own seed and sums up what it is trained on."""

    def __init__(self, obs_space, act_space, seed=0, delay=0.0):
        self.skipping_from = None  # from which update on all are left out
        self.size = act_space.n
        self.seed, self.delay = seed, delay
        self.weight = np.zeros(3, np.float64)
        self.calls = 0
        self.updates = 0
        self.warmed = None
        self.steps = []
        self.modes = []
        self.pending = None

    def sync_policy(self):
        pass

    def to_device(self, batch):
        return batch

    def warm_up(self, batch, envs=1):
        self.warmed = {key: value.shape for key, value in batch.items()}, envs

    def policy(self, obs, state=None, mode='train'):
        assert not any(key.startswith('log_') or key == 'level' for key in obs)
        self.modes.append(mode)
        envs = self.envs = len(obs['is_first'])
        if mode == 'eval':
            choice = np.zeros(envs, int)
        else:
            self.calls += 1
            choice = np.random.default_rng([self.seed, self.calls]).integers(self.size, size=envs)
        return np.eye(self.size, dtype=np.float32)[choice], (state or 0) + 1

    def policy_arrays(self, state):
        return {} if state is None else {'action': np.full((self.envs, 1), state)}

    def policy_state(self, arrays):
        return int(arrays['action'][0, 0]) if arrays else None

    def train(self, batch, state=None, step=0):
        time.sleep(self.delay)
        assert batch['is_first'][:, 0].all()
        self.updates += 1
        self.steps.append(step)
        self.weight += [batch['reward'].mean(), batch['image'].mean(), step]
        self.weight %= 1e6
        loss = float('nan') if self.updates == 2 else self.weight[0]
        metrics = {'image_loss': loss, 'reward_loss': np.float32(self.updates)}
        if self.skipping_from is not None:
            skipped = max(0, self.updates - self.skipping_from + 1)
            metrics.update(skipped_updates=np.int64(skipped), skipped_in_a_row=np.int64(skipped))
        return state, metrics

    def train_ahead(self, batch, state=None, step=0):
        completed = self.pending
        state, self.pending = self.train(batch, state, step)
        return state, completed

    def finish(self):
        completed, self.pending = self.pending, None
        return completed

    def report(self, batch):
        return {'openloop_image': np.zeros((5, 3 * SIZE, 2 * SIZE, 1), np.uint8)}

    def get_state(self):
        assert self.pending is None
        return {
            'parameters/weight': self.weight.copy(),
            'calls/act': np.array(self.calls, np.int64),
            'calls/learn': np.array(self.updates, np.int64),
        }

    def set_state(self, arrays):
        if set(arrays) != set(self.get_state()):
            raise ValueError(f'entries differ: {sorted(arrays)}')
        self.weight = np.array(arrays['parameters/weight'])
        self.calls = int(arrays['calls/act'])
        self.updates = int(arrays['calls/learn'])


def small_config(logdir, **overrides):
    """The debug preset with counts that fit episodes of 10 steps."""
    values = {
        'steps': 200,
        'prefill': 40,
        'train_every': 5,
        'log_every': 20,
        'save_every': 50,
        'eval_every': 100,
        'action_repeat': 4,
        'logdir': str(logdir),
        **overrides,
    }
    return load_config(['--configs', 'mario', 'debug']).update(values)


def fake_parts(agents, length=10, levels=('a',), envs=1, seed=0, delay=0.0, step_delay=0.0):
    """Parts of a run with the fakes; every agent made is appended to `agents`."""

    class SlowEnv(CountingEnv):
        def step(self, action):
            time.sleep(step_delay)
            return super().step(action)

    def make_agent(obs_space, act_space, say):
        agents.append(NumpyAgent(obs_space, act_space, seed, delay))
        return agents[-1], Device('cpu', 'cpu', 'float32')

    return Parts(
        envs=lambda: in_process([SlowEnv(length, levels, seed + i) for i in range(envs)]),
        evaluation={level: (lambda level=level: CountingEnv(5, [level], 7)) for level in levels},
        agent=make_agent,
    )


def lines(logdir):
    text = (pathlib.Path(logdir) / 'metrics.jsonl').read_text()
    return [json.loads(line) for line in text.splitlines()]


def with_key(rows, key):
    return [row for row in rows if key in row]


def run(logdir, steps=200, **options):
    agents = []
    overrides = options.pop('config', {})
    code = train(small_config(logdir, steps=steps, **overrides), fake_parts(agents, **options))
    return code, agents[0] if agents else None


def without_time(rows):
    """Rows without what may differ between equal runs: speed, and memory before and after disk."""
    return [
        {
            key: value
            for key, value in row.items()
            if key not in ('fps', 'train_ratio', 'replay_bytes')
        }
        for row in rows
    ]


if __name__ == '__main__':
    # A run of the fakes that takes long enough to be stopped:
    # `run_fakes.py LOGDIR [STEPS [SECONDS OF AN UPDATE]]`.
    steps, delay = (*sys.argv[2:], *('100000', '0')[len(sys.argv) - 2 :])
    config = small_config(pathlib.Path(sys.argv[1]), steps=int(steps))
    sys.exit(train(config, fake_parts([], step_delay=0.002, delay=float(delay))))
