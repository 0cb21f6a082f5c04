"""Draws a metric over frames, one panel per task, from the logdirs under a folder.

    python -m dreamerv2.analysis.plot ROOT [--metric train_return] [--out FILE.png]

The same settings with several seeds are one line, their mean, with a 95 % confidence band. Writes
a PNG, an SVG and a CSV with the numbers.
"""

import pathlib
import sys
from collections.abc import Sequence

from dreamerv2 import archive
from dreamerv2.analysis import commands, table
from dreamerv2.analysis.table import Run
from dreamerv2.cli import did_you_mean, exit_code_of
from dreamerv2.errors import UsageError
from dreamerv2.paths import expand_home

_MOST_NOTES = 12


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit code."""
    return exit_code_of(run, argv)


def run(argv: Sequence[str]) -> None:
    """Reads, draws, writes and says where. Raises UsageError on the user's mistakes."""
    parser = commands.parser_of_root(
        'plot', 'Draws a metric over frames, one panel per task, from the logdirs under ROOT.'
    )
    parser.add_argument('--metric', default='train_return', help='what to draw (%(default)s)')
    parser.add_argument('--out', metavar='FILE.png', help='default: ROOT/plot_METRIC.png')
    commands.add_smoothing(
        parser, None, 'values that a point is smoothed over (20 for training episodes, else 1)'
    )
    args = parser.parse_args(argv)
    stem = output_stem(args.root, args.metric, args.out)
    with archive.opened(args.root) as root:
        runs = table.read_runs(root)
    notes = [f'{run.name}: {note}' for run in runs for note in run.notes]
    for note in notes[:_MOST_NOTES]:
        print(note)
    if len(notes) > _MOST_NOTES:
        print(f'and {len(notes) - _MOST_NOTES} more such notes')
    chosen = with_metric(runs, args.metric)
    if len(chosen) < len(runs):
        missing = len(runs) - len(chosen)
        print(f'left out: {missing} of {len(runs)} runs with no {args.metric} after prefill yet')
    window = args.window or (20 if args.metric.startswith('train_') else 1)
    commands.hide_font_cache()
    from dreamerv2.analysis import panels, plotting

    figure, rows, lines = panels.draw(chosen, args.metric, window=window, bins=args.bins)
    print(*lines, sep='\n')
    with commands.writing_to(stem.parent, 'place'):
        paths = plotting.save_figure(figure, stem, rows)
    print(*paths, sep='\n')


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


if __name__ == '__main__':
    sys.exit(main())
