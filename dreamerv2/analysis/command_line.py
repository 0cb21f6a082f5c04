"""What the commands that read logdirs share: mistakes in one line."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from dreamerv2.errors import UsageError


class Parser(argparse.ArgumentParser):
    """Tells a mistake as a UsageError of one line instead of with the whole usage."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f'{message}; see --help')


def exit_code(
    name: str, run: Callable[[Sequence[str] | None], None], argv: Sequence[str] | None
) -> int:
    """Runs a command; 0, or 2 with one line on standard error for the user's mistake.

    A reader of the output that has seen enough, such as `head`, is no failure.
    """
    try:
        run(argv)
        sys.stdout.flush()
    except UsageError as error:
        print(f'{name}: {error}', file=sys.stderr)
        return 2
    except BrokenPipeError:
        # What is left in the buffer would be tried once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        return 130
    return 0


def add_smoothing(parser: argparse.ArgumentParser) -> None:
    """Adds `--window` and `--bins`: how curves are drawn, see `figures.Smooth`."""
    parser.add_argument(
        '--window',
        type=whole_number(1, 10**6),
        default=20,
        help='episodes that a point is smoothed over (%(default)s)',
    )
    parser.add_argument(
        '--bins', type=whole_number(2, 10**4), default=50, help='points of a curve (%(default)s)'
    )


def whole_number(low: int, high: int) -> Callable[[str], int]:
    """A type for `add_argument`: whole numbers from `low` to `high`."""

    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = low - 1
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(
                f'{text}: a whole number from {low} to {high} expected'
            )
        return value

    return parse
