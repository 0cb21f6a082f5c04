"""The command that makes the report of a study, one HTML file."""

import argparse
import logging
import pathlib
from collections.abc import Sequence

from dreamerv2.analysis import study
from dreamerv2.analysis.command_line import add_smoothing
from dreamerv2.cli import Parser, exit_code_of
from dreamerv2.errors import UsageError
from dreamerv2.paths import expand_home


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit code."""
    return exit_code_of(run, argv)


def run(argv: Sequence[str]) -> None:
    """Reads the study and writes its report. Raises UsageError on the user's mistakes."""
    args = parse(argv)
    out = args.out or args.root / 'report.html'
    if out.is_dir():
        raise UsageError(f'{out}: a folder; give the name of a file with --out')
    data = study.read_study(args.root)
    # Said when it builds its font cache, which is not what the user asked about.
    logging.getLogger('matplotlib').setLevel(logging.ERROR)
    from dreamerv2.analysis.report import page

    try:
        sentences = page.write_report(data, args.root, out, bins=args.bins, window=args.window)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise UsageError(
            f'{out}: cannot write there ({error.strerror}); choose another file with --out'
        ) from None
    print(f'{out} ({out.stat().st_size / 1e6:.1f} MB)')
    for sentence in sentences:
        print(sentence)


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = Parser(
        prog='report', description='Makes one HTML file of the study whose logdirs are under ROOT.'
    )
    parser.add_argument('root', metavar='ROOT', type=pathlib.Path, help='folder with the logdirs')
    parser.add_argument(
        '--out', metavar='FILE', type=pathlib.Path, help='default: ROOT/report.html'
    )
    add_smoothing(parser)
    args = parser.parse_args(argv)
    args.root = expand_home(args.root)
    args.out = args.out and expand_home(args.out)
    return args
