"""The flags that the commands for figures and reports share."""

import argparse

from dreamerv2.cli import whole_number


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
