"""What all commands share: parsers, kinds of arguments, hints, exit codes and Ctrl-C."""

from __future__ import annotations

import argparse
import difflib
import os
import sys
import traceback
from collections.abc import Callable, Iterable, Sequence
from typing import Literal, NoReturn

from dreamerv2.errors import StorageError, UsageError, printable
from dreamerv2.quiet import prepare_tensorflow, separate_stderr

# 75 (EX_TEMPFAIL): a run or a study was stopped and can be resumed.
FINISHED, FAILED, BAD_INPUT, STOPPED, INTERRUPTED = 0, 1, 2, 75, 130
LONGEST_MESSAGE = 2000


def exit_code_of(
    run: Callable[[Sequence[str]], int | None],
    argv: Sequence[str] | None = None,
    interrupted: str = 'Interrupted.',
) -> int:
    """Runs a command and returns its exit code.

    A user's mistake prints one line on standard error; the exit code is 2. A file that could not be
    written, as on a full disk, prints one line too, but with 1: the same command may work later.

    Args:
        run: the command, from its arguments to its exit code; None means that it finished.
        argv: the arguments; those of the program by default.
        interrupted: what to say when Ctrl-C ends it.
    """
    prepare_tensorflow()
    separate_stderr()
    try:
        code = run(sys.argv[1:] if argv is None else argv)
        sys.stdout.flush()
        return code or FINISHED
    except UsageError as error:
        # Names of files and tasks may hold anything, but the message must be one line.
        print(printable(str(error), LONGEST_MESSAGE), file=sys.stderr)
        return FAILED if isinstance(error, StorageError) else BAD_INPUT
    except KeyboardInterrupt:
        print(interrupted, file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # The reader, such as `head`, has closed the pipe.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except Exception:
        traceback.print_exc()
        return FAILED


class Parser(argparse.ArgumentParser):
    """Raises UsageError, one line, where argparse prints the usage and ends the program."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f'{message}; see --help')


def whole_number(low: int = 0, high: int | None = None) -> Callable[[str], int]:
    """A `type` for `add_argument`: whole numbers of a range, also written as `1e6`."""

    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            try:
                value = int(float(text)) if float(text).is_integer() else low - 1
            except ValueError:
                value = low - 1
        if value < low or (high is not None and value > high):
            above = '' if high is None else f' to {high}'
            raise argparse.ArgumentTypeError(
                f'{printable(repr(text))} is not a whole number from {low}{above}'
            )
        return value

    return parse


def step_or_best(text: str) -> int | Literal['best']:
    """A `type` for `add_argument`: a checkpoint by its frames, or `best`."""
    return 'best' if text == 'best' else whole_number()(text)


def nearest(name: str, names: Iterable[str], most: int = 1) -> list[str]:
    """The names most like one that does not exist, best first; upper and lower case are alike.

    What `name` is the beginning of comes first.
    """
    known = {one.casefold(): one for one in names}
    text = name[:200].casefold()
    longer = [one for one in known if len(text) > 2 and one.startswith(text)]
    similar = difflib.get_close_matches(text, known, most, 0.6)
    return [known[one] for one in dict.fromkeys([*sorted(longer, key=len), *similar])][:most]


def did_you_mean(name: str, names: Iterable[str], most: int = 1, *, lead: str = '') -> str:
    """A hint that names what may have been meant, after `lead`; '' where nothing is like it."""
    found = nearest(name, names, most)
    return f'{lead}did you mean {printable(" or ".join(found), 150)}?' if found else ''
