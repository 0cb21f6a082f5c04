"""Draws a metric over frames, one panel per task, from the logdirs under a folder.

    python -m dreamerv2.analysis.plot ROOT [--metric train_return] [--out FILE.png]

The same settings with several seeds are one line, their mean, with a 95 % confidence band. Writes
a PNG, an SVG and a CSV with the numbers.
"""

import argparse
import logging
import pathlib
import sys
from collections.abc import Sequence

from dreamerv2.analysis import table
from dreamerv2.analysis.table import Run
from dreamerv2.cli import Parser, did_you_mean, exit_code_of, whole_number
from dreamerv2.errors import UsageError
from dreamerv2.paths import expand_home

_MOST_NOTES = 12


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit code."""
    return exit_code_of(run, argv)


def run(argv: Sequence[str]) -> None:
    """Reads, draws, writes and says where. Raises UsageError on the user's mistakes."""
    args = _parse(argv)
    stem = output_stem(args.root, args.metric, args.out)
    runs = table.read_runs(args.root)
    for note in _notes(runs):
        print(note)
    chosen = with_metric(runs, args.metric)
    if len(chosen) < len(runs):
        missing = len(runs) - len(chosen)
        print(f'left out: {missing} of {len(runs)} runs with no {args.metric} after prefill yet')
    window = args.window or (20 if args.metric.startswith('train_') else 1)
    # Said when it builds its font cache, which is not what the user asked about.
    logging.getLogger('matplotlib').setLevel(logging.ERROR)
    from dreamerv2.analysis import panels, plotting

    figure, rows, lines = panels.draw(chosen, args.metric, window=window, bins=args.bins)
    for line in lines:
        print(line)
    try:
        paths = plotting.save_figure(figure, stem, rows)
    except OSError as error:
        raise UsageError(
            f'{stem.parent}: cannot write there ({error.strerror}); choose another place with --out'
        ) from None
    for path in paths:
        print(path)


def with_metric(runs: Sequence[Run], metric: str) -> list[Run]:
    """The runs that have values of `metric` after prefill.

    Raises UsageError naming what exists where no run knows the metric, or has it in prefill only.
    """
    chosen = [run for run in runs if metric in run.series]
    if chosen:
        return chosen
    if any(metric in run.prefill for run in runs):
        raise UsageError(f'{metric}: there are only prefill episodes so far; try again later')
    known = sorted({key for run in runs for key in run.series})
    if not known:
        raise UsageError(f'{metric}: no run has a metric after prefill yet; try again later')
    hint = did_you_mean(metric, known, lead='; ')
    raise UsageError(f'--metric {metric}: no run has it{hint}; there are {", ".join(known)}')


def output_stem(root: pathlib.Path, metric: str, out: str | None) -> pathlib.Path:
    """Where to write, without the suffix; by default into `root`, named after the metric."""
    if out is None:
        return root / f'plot_{metric.replace("/", "_")}'
    path = expand_home(out)
    if path.suffix not in ('', '.png', '.svg', '.csv'):
        raise UsageError(f'--out {out}: a name that ends in .png was expected')
    if path.is_dir():
        raise UsageError(f'--out {out}: a folder; give a file such as {path / "curve.png"}')
    return path.with_suffix('')


def _notes(runs: Sequence[Run]) -> list[str]:
    notes = [f'{run.name}: {note}' for run in runs for note in run.notes]
    if len(notes) > _MOST_NOTES:
        notes = [*notes[:_MOST_NOTES], f'and {len(notes) - _MOST_NOTES} more such notes']
    return notes


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = Parser(
        prog='plot',
        description='Draws a metric over frames, one panel per task, from the logdirs under ROOT.',
    )
    parser.add_argument('root', metavar='ROOT', type=pathlib.Path, help='folder with the logdirs')
    parser.add_argument('--metric', default='train_return', help='what to draw (%(default)s)')
    parser.add_argument('--out', metavar='FILE.png', help='default: ROOT/plot_METRIC.png')
    parser.add_argument(
        '--window',
        type=whole_number(1, 10**6),
        help='values that a point is smoothed over (20 for training episodes, else 1)',
    )
    parser.add_argument(
        '--bins', type=whole_number(2, 10**4), default=50, help='points of a curve (%(default)s)'
    )
    args = parser.parse_args(argv)
    args.root = expand_home(args.root)
    return args


if __name__ == '__main__':
    sys.exit(main())
