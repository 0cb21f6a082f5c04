"""The command line of `scripts/bench.py`, checked before anything heavy is imported."""

from __future__ import annotations

import argparse
import dataclasses
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dreamerv2.cli import Parser, whole_number
from dreamerv2.config import Config, load_config
from dreamerv2.envs import check_task
from dreamerv2.run.build import task_sets

from .report import Report, Table

RESULTS = Path(__file__).resolve().parents[2] / 'experiments' / 'results'

# What is measured, in one line, and the preset it is measured with unless another is named. The
# stored figures of small networks are those of mario_small_v1.
BENCHMARKS = {
    'learner': ('milliseconds an update, by part and precision', 'mario_small_v1'),
    'policy': ('calls a second at 1, 4, 16 and 64 environments', 'mario_small_v1'),
    'envs': ('frames a second at 1 worker process to as many as cores', 'mario_small_v1'),
    'replay': ('batches a second while episodes are added, bytes a step', 'mario'),
    'train': ('frames a second from end to end, and what the time went to', 'mario_small_v1'),
    'startup': ('seconds until the first update, and of commands that need none', 'mario_small_v1'),
    'memory': ('peak memory of host and GPU', 'mario_small_v1'),
    'check': ('quick comparison of shares of the limits with the stored ones', 'mario_small_v1'),
}

EPILOG = """Other flags go to the configuration, as in train.py: --dataset.batch 32.
Every figure is the median of several repetitions with the lowest and the highest; what is compared
is measured in turn. Measure on a machine that does nothing else."""


@dataclasses.dataclass
class Options:
    """What is to be measured and how.

    Attributes:
        what: key of `BENCHMARKS`.
        presets: names of the presets that `config` was made from.
        overrides: flags that went to the configuration.
        command: the command line, without what only says where the result goes.
        repeat: repetitions.
        steps: agent steps, of which each benchmark has its own default; 0 for that.
        episodes: real episodes that a replay is filled from.
        plain: whether to build the plain emulator for comparison.
        update: whether `check` stores what it finds.
        stored: the table of `check`.
        machine: what it is measured on.
    """

    what: str
    config: Config
    presets: tuple[str, ...]
    overrides: tuple[str, ...] = ()
    command: str = ''
    repeat: int = 5
    steps: int = 0
    episodes: int = 200
    plain: bool = False
    update: bool = False
    stored: Path = RESULTS / 'speed.json'
    json: bool = False
    into: Path | None = None
    machine: dict[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def spread_note(self) -> str:
        """What a spread's numbers are."""
        return f'Median (lowest-highest) of {self.repeat}.'

    @property
    def flags(self) -> list[str]:
        """The flags that give `config` again."""
        return ['--configs', *self.presets, *self.overrides]

    def say(self, line: str) -> None:
        """Shows progress, apart from the report."""
        print(line, file=sys.stderr, flush=True)

    def report(self, tables: Sequence[Table], **data: Any) -> Report:
        """The report of this command."""
        return Report(self.command, self.machine, list(tables), data)


def make_parser() -> argparse.ArgumentParser:
    """The flags that are not the configuration's."""
    what = '\n'.join(f'  {name:<10} {line}' for name, (line, _) in BENCHMARKS.items())
    parser = Parser(
        prog='bench.py',
        description=f'Measures speed and memory. WHAT is one of\n{what}',
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument('what', metavar='WHAT', choices=list(BENCHMARKS), help='see above')
    parser.add_argument('--preset', nargs='+', metavar='P', help='presets of configs.yaml')
    parser.add_argument(
        '--repeat', type=whole_number(1), default=5, metavar='N', help='repetitions (5)'
    )
    parser.add_argument(
        '--steps', type=whole_number(1), default=0, metavar='N',
        help='agent steps: played (envs, train, memory), or held (replay)',
    )  # fmt: skip
    parser.add_argument(
        '--episodes', type=whole_number(1), default=200, metavar='N',
        help='real episodes, from all levels, that a replay is filled from (200)',
    )  # fmt: skip
    parser.add_argument(
        '--plain', action='store_true',
        help='compare with the plain way: a plain build of the emulator (envs, train), the '
             'formulas as they stand (learner, train)',
    )  # fmt: skip
    parser.add_argument(
        '--update', action='store_true', help="check: store this machine's shares for later checks"
    )
    parser.add_argument(
        '--stored', type=Path, default=RESULTS / 'speed.json', metavar='FILE',
        help='check: the stored shares (experiments/results/speed.json)',
    )  # fmt: skip
    parser.add_argument('--json', action='store_true', help='print JSON in place of Markdown')
    parser.add_argument(
        '--into', type=Path, metavar='FILE', help='also write the tables into their place in FILE'
    )
    return parser


def parse(argv: Sequence[str]) -> Options:
    """What the command line asks for.

    Raises:
        UsageError: for every mistake in it. `--help` ends the program.
    """
    arguments, overrides = make_parser().parse_known_args(argv)
    values = vars(arguments)
    presets = tuple(values.pop('preset') or [BENCHMARKS[arguments.what][1]])
    config = load_config(['--configs', *presets, *overrides])
    check_task(config.task, task_sets(config))
    return Options(
        **values,
        config=config,
        presets=presets,
        overrides=tuple(overrides),
        command=shlex.join(_without_output(argv)),
    )


def _without_output(argv: Sequence[str]) -> list[str]:
    kept, skip = [], False
    for word in argv:
        if not skip and word not in ('--json', '--into'):
            kept.append(word)
        skip = word == '--into'
    return kept
