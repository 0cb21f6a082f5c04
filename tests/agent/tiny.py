"""A tiny agent and batches for the tests of the agent."""

from __future__ import annotations

import types
from typing import Any

import numpy as np

from dreamerv2.agent import Agent
from dreamerv2.config import load_config
from dreamerv2.nets.cpu import CpuKernels
from dreamerv2.nets.layers import PLAIN, Kernels

BATCH, LENGTH, ACTIONS = 3, 8, 4
KERNELS = ('plain', 'cpu')


PARTS = ('seed', 'precision', 'xla', 'acting_copy', 'ahead', 'kernels', 'levels')


def options(**changes: Any) -> dict[str, Any]:
    """Configuration of a tiny agent; changed sections keep what is not named."""
    net = {'act': 'elu', 'norm': 'none'}
    head = {'layers': 1, 'units': 8, **net}
    conv = {'cnn_keys': '.*', 'mlp_keys': '.*', 'cnn_depth': 2, 'mlp_layers': [8], **net}
    opt = {'opt': 'adam', 'lr': 1e-3, 'eps': 1e-5, 'clip': 100, 'wd': 1e-6}
    base = {
        'jit': True,
        'rssm': {
            'ensemble': 1, 'hidden': 8, 'deter': 8, 'stoch': 3, 'discrete': 4,
            'std_act': 'sigmoid2', 'min_std': 0.1, **net,
        },
        'encoder': {'cnn_kernels': [4, 4, 4, 4], **conv},
        'decoder': {'cnn_kernels': [5, 5, 6, 6], **conv},
        'reward_head': {'dist': 'mse', **head},
        'discount_head': {'dist': 'binary', **head},
        'loss_scales': {'kl': 1.0, 'reward': 1.0, 'discount': 1.0, 'proprio': 1.0},
        'kl': {'free': 0.0, 'forward': False, 'balance': 0.8, 'free_avg': True},
        'grad_heads': ['decoder', 'reward', 'discount'],
        'pred_discount': True,
        'model_opt': opt,
        'actor': {'dist': 'auto', 'min_std': 0.1, **head},
        'critic': {'dist': 'mse', **head},
        'actor_opt': opt,
        'critic_opt': opt,
        'discount': 0.99,
        'discount_lambda': 0.95,
        'imag_horizon': 4,
        'actor_grad': 'auto',
        'actor_grad_mix': 0.1,
        'actor_ent': 1e-3,
        'slow_target': True,
        'slow_target_update': 2,
        'slow_target_fraction': 1,
        'clip_rewards': 'tanh',
        'reward_norm': {'momentum': 1.0, 'scale': 1.0, 'eps': 1e-8},
        'expl_noise': 0.0,
        'eval_noise': 0.0,
        'eval_state_mean': False,
    }  # fmt: skip
    config = load_config().to_dict()
    for key, value in [*base.items(), *changes.items()]:
        config[key] = {**config[key], **value} if isinstance(value, dict) else value
    return config


def kernels(name: str) -> Kernels:
    """Plain kernels, or a processor's that split whatever can be split, for tests of both."""
    small = {'branches': 2, 'least_images': 1, 'least_rollouts': 1}
    return PLAIN if name == 'plain' else CpuKernels(caller_acts=False, **small)


def make_agent(*, discrete: bool = True, image: bool = True, **changes: Any) -> Agent:
    """A tiny agent on images or on two vectors."""
    shapes = {'image': (64, 64, 1)} if image else {'position': (3,), 'velocity': (2,)}
    obs_space = {key: types.SimpleNamespace(shape=shape) for key, shape in shapes.items()}
    act_space = types.SimpleNamespace(shape=(ACTIONS,))
    if discrete:
        act_space.n = ACTIONS
    parts = {'seed': 0, 'precision': 'float32', 'kernels': CpuKernels(caller_acts=False)}
    parts.update({key: changes.pop(key) for key in PARTS if key in changes})
    return Agent(obs_space, act_space, options(**changes), **parts)


def make_batch(
    *, discrete: bool = True, image: bool = True, seed: int = 0
) -> dict[str, np.ndarray]:
    """A random batch as the replay gives it."""
    rng = np.random.default_rng(seed)
    lead = (BATCH, LENGTH)
    batch = {
        'reward': rng.normal(size=lead).astype(np.float32),
        'is_first': np.arange(LENGTH)[None].repeat(BATCH, 0) == 0,
        'is_last': np.zeros(lead, bool),
        'is_terminal': rng.uniform(size=lead) < 0.1,
        'level': np.zeros(lead, np.int32),
        'mask': np.ones(lead, np.float32),
    }
    if discrete:
        batch['action'] = np.eye(ACTIONS, dtype=np.float32)[rng.integers(0, ACTIONS, lead)]
    else:
        batch['action'] = rng.uniform(-1, 1, (*lead, ACTIONS)).astype(np.float32)
    if image:
        batch['image'] = rng.integers(0, 256, (*lead, 64, 64, 1), dtype=np.uint8)
    else:
        batch['position'] = rng.normal(size=(*lead, 3)).astype(np.float32)
        batch['velocity'] = rng.normal(size=(*lead, 2)).astype(np.float32)
    return batch
