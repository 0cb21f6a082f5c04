"""The command that makes the figures of a study, and the numbers behind them."""

import argparse
import logging
import pathlib
from collections.abc import Sequence

from dreamerv2.analysis import figures, study, text
from dreamerv2.analysis.command_line import add_smoothing
from dreamerv2.cli import Parser, exit_code_of
from dreamerv2.errors import UsageError
from dreamerv2.paths import expand_home


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit code."""
    return exit_code_of(run, argv)


def run(argv: Sequence[str]) -> None:
    """Reads the study, draws, answers and writes. Raises UsageError on the user's mistakes."""
    args = parse(argv)
    data = study.read_study(args.root)
    # Said when it builds its font cache, which is not what the user asked about.
    logging.getLogger('matplotlib').setLevel(logging.ERROR)
    from dreamerv2.analysis import answers, plotting

    out = args.out or args.root / 'figures'
    try:
        out.mkdir(parents=True, exist_ok=True)
        smooth = figures.Smooth(args.bins, args.window)
        for drawn in figures.draw(data, args.figures, smooth):
            if isinstance(drawn, str):
                print(drawn)
                continue
            paths = plotting.save_figure(drawn.figure, out / drawn.name, drawn.rows)
            print(f'{paths[0]}{text.without(drawn.missing)}')
        found = list(answers.by_question(data).values())
        plotting.write_csv(out / 'scores.csv', answers.score_rows(found, data))
        sentences = '\n\n'.join('\n'.join(answer.sentences) for answer in found)
        (out / 'answers.txt').write_text(sentences + '\n', encoding='utf-8')
        state = data.state
        (out / 'runs.txt').write_text('\n'.join([*state, *data.notes]) + '\n', encoding='utf-8')
    except BrokenPipeError:
        raise
    except OSError as error:
        raise UsageError(
            f'{out}: cannot write there ({error.strerror}); choose another folder with --out'
        ) from None
    print(f'{state[0]}; see {out / "runs.txt"}')
    if sentences:
        print(f'\n{sentences}')


def figure_name(text: str) -> str:
    """A figure by its name or number."""
    name = f'figure{text}' if text.isdecimal() else text
    if name not in figures.names():
        known = ', '.join(figures.names())
        raise argparse.ArgumentTypeError(f'{text!r} is no figure: expected one of {known}')
    return name


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = Parser(
        prog='figures', description='Makes the figures of the thesis from the logdirs under ROOT.'
    )
    parser.add_argument('root', metavar='ROOT', type=pathlib.Path, help='folder with the logdirs')
    parser.add_argument('--out', metavar='DIR', type=pathlib.Path, help='default: ROOT/figures')
    parser.add_argument(
        '--figures',
        metavar='N',
        nargs='+',
        type=figure_name,
        help=f'only these, of {", ".join(figures.names())}; a number is enough',
    )
    add_smoothing(parser)
    args = parser.parse_args(argv)
    args.root = expand_home(args.root)
    args.out = args.out and expand_home(args.out)
    return args
