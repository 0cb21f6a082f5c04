"""Trains until the first update, and says when that was: `python -m benchmarks.first_update FLAGS`.

It is `dreamerv2/train.py` with a watch on the agent. Prints one line of JSON with times of the
system's monotonic clock: `prefilled`, when the last random step started, and `updated`. Where
updates are made ahead (`Agent.train_ahead`), the first counts when its first half is computed, the
world model's.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from typing import Any

from dreamerv2 import quiet
from dreamerv2.config import load_config

from . import watched
from .timing import Clock


def main(argv: list[str]) -> int:
    """Trains, and returns the exit code of training."""
    quiet.prepare_tensorflow()
    quiet.separate_stderr()
    config = load_config(argv)
    clock = Clock()
    clock.last['begin'] = time.monotonic()  # Where nothing is left to be played at random.
    acted: list[float] = []

    def on_act(_: int) -> None:
        acted.append(clock.last['begin'])

    def on_update(metrics: Any) -> None:
        if metrics is not None:
            float(metrics['model_loss'])  # Waits for a GPU.
        prefilled = acted[0] if acted else clock.last['begin']
        print(json.dumps({'prefilled': prefilled, 'updated': time.monotonic()}), flush=True)
        os.kill(os.getpid(), signal.SIGTERM)

    code, _ = watched.train(
        config, clock, on_act=on_act, on_update=on_update, command=['train.py', *argv]
    )
    return code


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
