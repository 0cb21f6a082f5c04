"""The command that trains one agent: `python dreamerv2/train.py --configs mario --seed 1`."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence

from dreamerv2.config import load_config
from dreamerv2.errors import UsageError
from dreamerv2.run import devices

CRASHED = 1
BAD_INPUT = 2


def run(argv: Sequence[str]) -> int:
    """Trains as the command line says.

    Returns:
        The exit code: 0 finished, 75 stopped with a checkpoint.

    Raises:
        UsageError: a mistake in the command line, before TensorFlow is imported.
    """
    config = load_config(argv)
    from dreamerv2.envs import check_task
    from dreamerv2.run.build import task_sets

    check_task(config.task, task_sets(config))
    for note in config.notes:
        print(note, file=sys.stderr)
    if config.dry_run:
        for key, value in config.flat.items():
            print(f'{key}: {value}')
        return 0
    from dreamerv2.run.training import train

    return train(config, command=['train.py', *argv])


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; 0 finished, 1 crashed, 2 bad input, 75 stopped with a checkpoint."""
    devices.hide_noise()
    devices.separate_stderr()
    try:
        return run(sys.argv[1:] if argv is None else argv)
    except UsageError as error:
        print(f'{error}', file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        print('Interrupted before there was anything to save.', file=sys.stderr)
        return CRASHED
    except Exception:
        traceback.print_exc()
        return CRASHED


if __name__ == '__main__':
    sys.exit(main())
