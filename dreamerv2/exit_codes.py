"""What every command does around its work: quiet libraries, and errors as exit codes."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Sequence

from dreamerv2.errors import StorageError, UsageError, printable
from dreamerv2.run import devices

CRASHED = 1
BAD_INPUT = 2
LONGEST_MESSAGE = 2000


def exit_code_of(
    run: Callable[[Sequence[str]], int], argv: Sequence[str] | None, interrupted: str
) -> int:
    """Runs a command and returns its exit code: its own, 1 for a crash, 2 for a user's mistake.

    A file that could not be written, such as for a full disk, is told in one line and ends with 1.

    Args:
        run: the command, from its arguments to its exit code.
        argv: the arguments; those of the program by default.
        interrupted: what to say when Ctrl-C ends it.
    """
    devices.hide_noise()
    devices.separate_stderr()
    try:
        return run(sys.argv[1:] if argv is None else argv)
    except StorageError as error:  # No bad input, and it may work another time.
        print(printable(str(error), LONGEST_MESSAGE), file=sys.stderr)
        return CRASHED
    except UsageError as error:
        # Names of files and tasks may hold anything; what is printed is one line all the same.
        print(printable(str(error), LONGEST_MESSAGE), file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        print(interrupted, file=sys.stderr)
        return CRASHED
    except BrokenPipeError:  # The reader, such as `head`, has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return CRASHED
    except Exception:
        traceback.print_exc()
        return CRASHED
