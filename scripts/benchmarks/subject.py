"""The agent that is measured, and what it is given."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from dreamerv2.config import Config
from dreamerv2.run import build, devices
from dreamerv2.run.types import Batch

PLAIN = {'precision': 'float32', 'kernels': 'plain'}


@dataclasses.dataclass(frozen=True)
class Spaces:
    """What the agent sees and does in the configuration's task."""

    obs_space: Mapping[str, Any]
    act_space: Any
    action_repeat: int


def configure(config: Config, say: Callable[[str], Any]) -> devices.Device:
    """Imports TensorFlow and sets it up for the configuration's device."""
    with devices.hidden_native_stderr():
        return devices.configure(
            config.precision, device=config.device, gpu_memory=config.gpu_memory, say=say
        )


def find_spaces(config: Config) -> Spaces:
    """The spaces of the configuration's task."""
    env = build.build_env(config, config.task, 0)
    try:
        return Spaces(dict(env.obs_space), env.act_space, env.action_repeat)
    finally:
        env.close()


def use_default_threads() -> None:
    """Leaves the number of threads to TensorFlow; before it is set up, in a process of its own."""
    os.environ.update(TF_NUM_INTRAOP_THREADS='0', TF_NUM_INTEROP_THREADS='0')


def make_agent(config: Config, spaces: Spaces, device: devices.Device, precision: str) -> Any:
    """The configuration's agent, computing in `precision`."""
    device = dataclasses.replace(device, precision=precision)
    return build.build_agent(config, spaces.obs_space, spaces.act_space, device)


def random_batch(spaces: Spaces, batch: int, length: int, seed: int = 0) -> Batch:
    """A batch `[batch, length, ...]` of random numbers, of the replay's shapes and types."""
    generator = np.random.default_rng(seed)
    found = build.example_batch(spaces.obs_space, spaces.act_space, batch, length)
    for key, value in found.items():
        if value.dtype == np.uint8:
            found[key] = generator.integers(0, 256, value.shape, dtype=np.uint8)
        elif key in ('reward', 'action') or (key not in ('mask', 'level') and value.ndim == 3):
            found[key] = generator.uniform(-1, 1, value.shape).astype(value.dtype)
    if hasattr(spaces.act_space, 'n'):
        choices = generator.integers(spaces.act_space.n, size=(batch, length))
        found['action'] = np.eye(spaces.act_space.n, dtype=np.float32)[choices]
    return found


def random_observations(spaces: Spaces, envs: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Stacked observations `[envs, ...]`, as the policy is given them."""
    batch = random_batch(spaces, envs, 1, seed)
    kept = {key: value[:, 0] for key, value in batch.items() if key in spaces.obs_space}
    return {**kept, 'is_first': np.zeros(envs, bool)}
