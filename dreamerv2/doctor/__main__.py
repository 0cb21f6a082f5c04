"""The command that diagnoses problems: `python -m dreamerv2.doctor [LOGDIR | --task TASK]`."""

from __future__ import annotations

import argparse
import dataclasses
import json
import shutil
import sys
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path

from dreamerv2.cli import Parser, exit_code_of
from dreamerv2.doctor import installation
from dreamerv2.doctor.rows import FAILED, Check, Row, examine, lines, summary
from dreamerv2.errors import UsageError

_HELP = """Checks an installation, a task or a logdir, and says how to fix problems.

  python -m dreamerv2.doctor                      this installation
  python -m dreamerv2.doctor --task mario_1-1     a task; --configs and --KEY VALUE as in training
  python -m dreamerv2.doctor LOGDIR               a run's logdir, even while it is running
"""


def parse_arguments(argv: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """Parses the command line; also returns the flags of training that go with a task.

    Raises UsageError for a mistake in it.
    """
    parser = Parser(
        prog='dreamerv2-doctor',
        description=_HELP,
        epilog='Exit code 0: nothing failed, 1: a check failed, 2: bad input.',
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    with_task = any(argument.partition('=')[0] == '--task' for argument in argv)
    if not with_task:
        parser.add_argument('logdir', nargs='?', type=Path, help='logdir of a training run')
    parser.add_argument('--task', help='such as mario_1-1, mario_e4, gym_CartPole-v1')
    parser.add_argument('--json', action='store_true', help='print the table as JSON')
    arguments, rest = parser.parse_known_args(argv)
    if not with_task and rest:
        raise UsageError(f'unknown argument {rest[0]!r}: flags of training go with --task only.')
    if rest and not rest[0].startswith('-'):
        raise UsageError(f'{rest[0]!r} and --task: give a logdir or a task, not both.')
    return arguments, rest


def run(argv: Sequence[str]) -> int:
    """Checks what the command line says; 0 nothing failed, 1 something did.

    Raises UsageError for a mistake in it, and where there is no such task or logdir.
    """
    arguments, flags = parse_arguments(argv)
    warnings.simplefilter('ignore')  # Warnings of packages; what matters has a row.
    width = shutil.get_terminal_size((100, 24)).columns if sys.stdout.isatty() else 100
    rows = []
    for row in examine(_checks(arguments, flags)):
        rows.append(row)
        if not arguments.json:
            print('\n'.join(lines(row, width)), flush=True)
    has_failed = any(row.status == FAILED for row in rows)
    if arguments.json:
        document = {'failed': has_failed, 'rows': [dataclasses.asdict(row) for row in rows]}
        print(json.dumps(document, indent=2))
    else:
        print(f'\n{summary(rows)}')
    return int(has_failed)


def _checks(arguments: argparse.Namespace, flags: Sequence[str]) -> Iterable[Check]:
    if arguments.task is None and getattr(arguments, 'logdir', None) is None:
        return installation.checks()
    # What a task or a logdir needs may be missing; that should be a row, not a traceback.
    try:
        if arguments.task is not None:
            from dreamerv2.doctor import task

            return task.checks(task.configuration(arguments.task, flags))
        from dreamerv2.doctor import logdir

        return logdir.checks(logdir.find(arguments.logdir))
    except UsageError:
        raise
    except Exception as error:
        broken = error

        def report() -> Row:
            raise broken

        return [('installation', report)]


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; 0 nothing failed, 1 a check failed, 2 bad input."""
    return exit_code_of(run, argv)


if __name__ == '__main__':
    sys.exit(main())
