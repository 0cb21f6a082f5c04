"""The command that trains one agent: `python dreamerv2/train.py --configs mario --seed 1`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

if __name__ == '__main__' and not __package__:  # run as a file
    import clone  # noqa: F401

from dreamerv2.cli import FINISHED, exit_code_of
from dreamerv2.config import load_config


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
    from dreamerv2.run.training import check, train

    if config.dry_run:
        check(config)
        for key, value in config.flat.items():
            print(f'{key}: {value}')
        return FINISHED
    return train(config, command=['train.py', *argv])


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code, 75 if stopped with a checkpoint."""
    return exit_code_of(run, argv, 'Interrupted before there was anything to save.')


if __name__ == '__main__':
    sys.exit(main())
