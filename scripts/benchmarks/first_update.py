"""Trains until the first update, and says when that was: `python -m benchmarks.first_update FLAGS`.

It is `dreamerv2/train.py` with a watch on the agent. Prints one line of JSON with times of the
system's monotonic clock: `prefilled`, when the last random step was made, and `updated`. Where
updates are made ahead (`Agent.train_ahead`), the first counts when its first half is computed, the
world model's.
"""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from dreamerv2 import quiet
from dreamerv2.config import load_config
from dreamerv2.run import devices


class _Envs:
    """Environments that remember when they were last stepped."""

    def __init__(self, target: Any) -> None:
        self._target = target
        self.stepped = time.monotonic()

    def end(self, indices: Sequence[int]) -> Any:
        result = self._target.end(indices)
        if result:  # The driver also asks where no step is under way.
            self.stepped = time.monotonic()
        return result

    def __getattr__(self, name: str) -> Any:
        return getattr(self._target, name)

    def __len__(self) -> int:
        return len(self._target)


class _Agent:
    """An agent that ends the run after its first update."""

    def __init__(self, target: Any, envs: list[_Envs]) -> None:
        self._target = target
        self._envs = envs
        self._acted: float | None = None

    def policy(self, *args: Any, **kwargs: Any) -> Any:
        self._acted = self._acted or self._envs[0].stepped
        return self._target.policy(*args, **kwargs)

    def train(self, *args: Any, **kwargs: Any) -> Any:
        state, metrics = self._target.train(*args, **kwargs)
        float(metrics['model_loss'])  # Waits for a GPU.
        self._end_run()
        return state, metrics

    def train_ahead(self, *args: Any, **kwargs: Any) -> Any:
        # Used on a CPU only, where a call returns when all of it is computed.
        result = self._target.train_ahead(*args, **kwargs)
        self._end_run()
        return result

    def _end_run(self) -> None:
        times = {'prefilled': self._acted or self._envs[0].stepped, 'updated': time.monotonic()}
        print(json.dumps(times), flush=True)
        os.kill(os.getpid(), signal.SIGTERM)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._target, name)


def main(argv: list[str]) -> int:
    """Trains, and returns the exit code of training."""
    quiet.hide_noise()
    quiet.separate_stderr()
    config = load_config(argv)
    from dreamerv2.run.build import Parts, default_parts
    from dreamerv2.run.training import train

    made_envs: list[_Envs] = []

    def parts(say: Callable[[str], Any]) -> Parts:
        made = default_parts(config, say)

        def envs() -> Any:
            made_envs.append(_Envs(made.envs()))
            return made_envs[0]

        def agent(obs_space: Any, act_space: Any) -> tuple[Any, devices.Device]:
            plain, device = made.agent(obs_space, act_space)
            return _Agent(plain, made_envs), device

        return dataclasses.replace(made, envs=envs, agent=agent)

    return train(config, parts, command=['train.py', *argv])


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
