"""Plays an episode with the best run of each stage of a study: `experiments/videos.py ROOT`.

The best run is the one with the highest final normalised score. Its best checkpoint by evaluation
(or else the newest) plays one episode on each of its levels, as in evaluation. The video goes to
`videos/` in its logdir, where `experiments/report.py` finds it. Existing videos are kept.
"""

import pathlib
import sys
from collections.abc import Sequence

import clone  # noqa: F401  so that the package of this clone is used

from dreamerv2.analysis import study
from dreamerv2.analysis.report import videos
from dreamerv2.cli import Parser, exit_code_of
from dreamerv2.paths import expand_home
from dreamerv2.studies.videos import has_checkpoint, record_best


def run(argv: Sequence[str]) -> None:
    """Makes the videos of a study. Raises UsageError on the user's mistakes."""
    parser = Parser(prog='videos', description='Videos of the best run of each stage of a study.')
    parser.add_argument('root', metavar='ROOT', type=pathlib.Path, help='folder with the logdirs')
    parser.add_argument('--format', choices=('mp4', 'gif'), default='mp4')
    args = parser.parse_args(argv)
    for data in study.read_studies(expand_home(args.root)).values():
        for place, best, _ in videos.best_runs(data, lambda one: has_checkpoint(one.path)):
            made = record_best(best.path, best.path / videos.VIDEOS, args.format)
            print(f'{place}: {made}', flush=True)


if __name__ == '__main__':
    sys.exit(exit_code_of(run))
