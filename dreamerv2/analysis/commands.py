"""The commands that make the figures and the report of a study, and what `plot` shares with them.

matplotlib is imported once the arguments are right and the runs read, so that a mistake is told at
once.
"""

import argparse
import contextlib
import logging
import pathlib
from collections.abc import Iterator, Sequence

from dreamerv2 import archive
from dreamerv2.analysis import figures, study, text
from dreamerv2.cli import Parser, exit_code_of, whole_number
from dreamerv2.errors import UsageError
from dreamerv2.paths import expand_home


def figures_main(argv: Sequence[str] | None = None) -> int:
    """Makes the figures of a study, and the numbers behind them; returns the exit code."""
    return exit_code_of(_make_figures, argv)


def report_main(argv: Sequence[str] | None = None) -> int:
    """Makes the report of a study, one HTML file; returns the exit code."""
    return exit_code_of(_make_report, argv)


def _make_figures(argv: Sequence[str]) -> None:
    parser = parser_of_root(
        'figures', 'Makes the figures of the thesis from the logdirs under ROOT.'
    )
    parser.add_argument('--out', metavar='DIR', type=expand_home, help='default: ROOT/figures')
    parser.add_argument(
        '--figures',
        metavar='N',
        nargs='+',
        type=figure_name,
        help=f'only these, of {", ".join(figures.names())}; a number is enough',
    )
    add_smoothing(parser)
    args = parser.parse_args(argv)
    with archive.opened(args.root) as root:
        _draw(root, args, args.out or args.root / 'figures')


def _draw(root: pathlib.Path, args: argparse.Namespace, folder: pathlib.Path) -> None:
    studies = study.read_studies(root)
    hide_font_cache()
    from dreamerv2.analysis import answers, plotting

    for setting, answered in answers.by_setting(studies).items():
        data, found = studies[setting], list(answered.values())
        out = folder / setting
        state = data.state
        with writing_to(out, 'folder'):
            out.mkdir(parents=True, exist_ok=True)
            for drawn in figures.draw(data, args.figures, figures.Smooth(args.bins, args.window)):
                if isinstance(drawn, str):
                    print(drawn)
                    continue
                paths = plotting.save_figure(drawn.figure, out / drawn.name, drawn.rows)
                print(f'{paths[0]}{text.without(drawn.missing)}')
            plotting.write_csv(out / 'scores.csv', answers.score_rows(found, data))
            sentences = '\n\n'.join('\n'.join(answer.sentences) for answer in found)
            (out / 'answers.txt').write_text(sentences + '\n', encoding='utf-8')
            (out / 'runs.txt').write_text('\n'.join([*state, *data.notes]) + '\n', encoding='utf-8')
        print(f'{state[0]}; see {out / "runs.txt"}')
        if sentences:
            print(f'\n{sentences}')


def _make_report(argv: Sequence[str]) -> None:
    parser = parser_of_root(
        'report', 'Makes one HTML file of the study whose logdirs are under ROOT.'
    )
    parser.add_argument('--out', metavar='FILE', type=expand_home, help='default: ROOT/report.html')
    add_smoothing(parser)
    args = parser.parse_args(argv)
    out = args.out or args.root / 'report.html'
    if out.is_dir():
        raise UsageError(f'{out}: a folder; give the name of a file with --out')
    with archive.opened(args.root) as root:
        studies = study.read_studies(root)
        hide_font_cache()
        from dreamerv2.analysis.report import page

        with writing_to(out, 'file'):
            smooth = figures.Smooth(args.bins, args.window)
            sentences = page.write_report(studies, root, out, smooth)
    print(f'{out} ({out.stat().st_size / 1e6:.1f} MB)', *sentences, sep='\n')


def figure_name(text: str) -> str:
    """A figure by its name or number."""
    name = f'figure{text}' if text.isdecimal() else text
    if name not in figures.names():
        known = ', '.join(figures.names())
        raise argparse.ArgumentTypeError(f'{text!r} is no figure: expected one of {known}')
    return name


def parser_of_root(prog: str, description: str) -> Parser:
    """A parser that takes the folder with the logdirs."""
    parser = Parser(prog=prog, description=description)
    parser.add_argument(
        'root', metavar='ROOT', type=expand_home, help='folder with the logdirs, or an archive'
    )
    return parser


def add_smoothing(
    parser: Parser,
    window: int | None = 20,
    words: str = 'episodes that a point is smoothed over (%(default)s)',
) -> None:
    """Adds `--window`, with this default and help, and `--bins`: how curves are drawn."""
    parser.add_argument('--window', type=whole_number(1, 10**6), default=window, help=words)
    parser.add_argument(
        '--bins', type=whole_number(2, 10**4), default=50, help='points of a curve (%(default)s)'
    )


def hide_font_cache() -> None:
    """Silences matplotlib's word on building its font cache, which nobody has asked about."""
    logging.getLogger('matplotlib').setLevel(logging.ERROR)


@contextlib.contextmanager
def writing_to(place: pathlib.Path, what: str) -> Iterator[None]:
    """Raises UsageError, which asks for another `what`, where nothing can be written to `place`."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise UsageError(
            f'{place}: cannot write there ({error.strerror}); choose another {what} with --out'
        ) from None
