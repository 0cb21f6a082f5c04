"""Fuzz of the configuration: whatever is given, the answer is a configuration or one clear line.

python -m tests.faults.fuzz_configuration --inputs 10000 --commands 200

Inputs are command lines, files of presets, saved configurations and study definitions, read in
this process; commands are whole processes with `--dry_run`, up to where environment and networks
would be made. Permitted are a configuration, or one printable line of at most 500 characters with
exit code 2, within 2 s of processor time; for a command these are 2 s beyond its imports. Prints a
table and what broke the rules, if anything; `--seed` and the number of an input make it again.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import gc
import io
import math
import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from dreamerv2.config import Config, load_config
from dreamerv2.config.files import default_file
from dreamerv2.config.schema import SCHEMA
from dreamerv2.errors import UsageError
from dreamerv2.studies.definition import make_jobs
from dreamerv2.studies.study_file import read_definition
from tests.faults import configuration_inputs as inputs

ROOT = pathlib.Path(__file__).resolve().parents[2]
LONGEST_LINE = 500
MOST_SECONDS = 2.0
CHECK = """
import sys
import dreamerv2.run.training
from dreamerv2.train import main
dreamerv2.run.training.check = lambda config: None
sys.exit(main())
"""


@dataclasses.dataclass
class Count:
    """What became of the inputs of one kind; times are seconds of processor time."""

    number: int = 0
    accepted: int = 0
    refused: int = 0
    worst: float = 0.0
    broken: list[str] = dataclasses.field(default_factory=list)

    def add(self, name: str, message: str | None, problem: str | None, seconds: float) -> None:
        """Counts one answer: the refusal, or None, and what was wrong with it, or None."""
        self.number += 1
        self.accepted += message is None and problem is None
        self.refused += message is not None
        self.worst = max(self.worst, seconds)
        if problem is None and seconds > MOST_SECONDS:
            problem = f'{seconds:.1f} s'
        if problem is None and message is not None:
            problem = wrong_line(message)
        if problem is not None:
            self.broken.append(f'{name}: {problem}')


def wrong_line(message: str) -> str | None:
    """What is wrong with a refusal, or None."""
    if not message or not message.isprintable():
        return f'not one printable line: {message!r}'
    if len(message) > LONGEST_LINE:
        return f'{len(message)} characters: {message}'
    return None


def check_config(config: Config) -> None:
    """Raises AssertionError where an accepted configuration is not what it must be."""
    assert set(SCHEMA) <= set(config.flat)
    for key, value in config.flat.items():
        for item in value if isinstance(value, tuple) else [value]:
            assert not isinstance(item, float) or math.isfinite(item), (key, value)
            assert not isinstance(item, str) or '\n' not in item, (key, value)


def read_command_line(rng: random.Random, folder: pathlib.Path) -> None:
    """`train.py`'s flags."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):  # --help
        check_config(load_config(inputs.command_line(rng)))


def read_saved(rng: random.Random, folder: pathlib.Path) -> None:
    """A `config.yaml` in a logdir."""
    path = folder / 'config.yaml'
    path.write_bytes(inputs.yaml_text(rng, rng.choice(inputs.TEXTS)))
    config = Config.load(path)
    check_config(config)
    config.save(path)
    assert Config.load(path) == config


def read_presets(rng: random.Random, folder: pathlib.Path) -> None:
    """A `configs.yaml` with a preset of the user's own."""
    path = folder / 'configs.yaml'
    text = rng.choice(inputs.TEXTS).replace('\n', '\n  ').rstrip()
    own = inputs.yaml_text(rng, f'mine:\n  {text}\n')
    path.write_bytes(default_file().read_bytes() + own)
    check_config(load_config(['--configs', 'mine'], file=path))


def read_study(rng: random.Random, folder: pathlib.Path) -> None:
    """The definition of a study, with the command lines of its runs."""
    path = folder / 'study.yaml'
    path.write_bytes(inputs.yaml_text(rng, rng.choice(inputs.STUDIES)))
    definition = read_definition(path)
    for job in make_jobs(definition, folder / 'root')[:3]:
        config = load_config(job.arguments)
        assert pathlib.Path(config.logdir) == job.logdir
        assert (folder / 'root').resolve() in job.logdir.resolve().parents


# Reader of an input, and its share of all.
READERS: dict[str, tuple[Callable[[random.Random, pathlib.Path], None], float]] = {
    'command lines': (read_command_line, 0.5),
    'saved configurations': (read_saved, 0.25),
    'files of presets': (read_presets, 0.05),
    'study definitions': (read_study, 0.2),
}


def try_input(kind: str, name: str, count: Count, folder: pathlib.Path) -> None:
    """One input, made from its name, read in this process; other threads' work does not count."""
    started = time.thread_time()
    message = problem = None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('error')  # They would be lines of their own.
            READERS[kind][0](random.Random(name), folder)
    except UsageError as error:
        message = str(error)
    except Exception as error:
        problem = f'{type(error).__name__}: {error}'
    count.add(name, message, problem, time.thread_time() - started)


def command_of(rng: random.Random, folder: pathlib.Path) -> list[str]:
    """The arguments of Python for one command that only checks."""
    if rng.random() < 0.2:
        path = folder / 'study.yaml'
        path.write_bytes(inputs.yaml_text(rng, rng.choice(inputs.STUDIES)))
        words = [str(ROOT / 'experiments' / 'study.py'), str(path)]
        return [*words, '--logdir', str(folder / 'root'), '--dry_run']
    given = [word.replace('\0', '') for word in inputs.command_line(rng)]
    given = [word for word in given if word.partition('=')[0] != '--dry_run']
    return ['-c', CHECK, *given, '--dry_run', 'True']


def try_command(name: str, count: Count, folder: pathlib.Path, start: float = 0.0) -> None:
    """One process, in a folder of its own; `start` seconds are those of any process of ours."""
    words = [
        word.encode('utf-8', 'surrogatepass') for word in command_of(random.Random(name), folder)
    ]
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get('PYTHONPATH')])])
    env = {**os.environ, 'PYTHONPATH': path, 'HOME': str(folder)}
    done, seconds = timed([sys.executable, *words], cwd=folder, env=env)
    error = done.stderr.decode('utf-8', 'replace')
    problem = None
    if done.returncode not in (0, 2) or 'Traceback' in error:
        problem = f'exit code {done.returncode}: {error[-500:]}'
    message = error.removesuffix('\n') if done.returncode == 2 else None
    count.add(name, message, problem, seconds - start)


def timed(
    words: Sequence[str | bytes], **options: Any
) -> tuple[subprocess.CompletedProcess[bytes], float]:
    """Runs a command for at most 120 s; returns it with its own seconds of processor time.

    What other children of this process used, which may be waited for at any moment, is not in them.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = subprocess.Popen(words, stdout=out, stderr=err, **options)
        timer = threading.Timer(120, os.kill, (process.pid, signal.SIGKILL))
        timer.start()
        _, status, usage = os.wait4(process.pid, 0)
        timer.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        done = subprocess.CompletedProcess(words, process.returncode, out.read(), err.read())
    return done, usage.ru_utime + usage.ru_stime


@contextlib.contextmanager
def set_apart() -> Iterator[None]:
    """Leaves out of garbage collection what is there already: it took no part in an input.

    After a thousand tests one full collection takes 5 s, and would count for the input it falls on.
    """
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def fuzz(inputs_of_all: int, commands: int, seed: int = 0) -> dict[str, Count]:
    """Tries so many inputs in this process and so many commands; returns the counts by kind."""
    counts = {}
    with tempfile.TemporaryDirectory() as name, set_apart():
        folder = pathlib.Path(name)
        for kind, (_, share) in READERS.items():
            counts[kind] = Count()
            for index in range(round(inputs_of_all * share)):
                try_input(kind, f'{seed}/{kind}/{index}', counts[kind], folder)
        counts['commands'] = Count()
        for child in folder.iterdir():
            child.unlink()
        (folder / 'folder').mkdir()
        (folder / 'file').touch()
        # A busy machine takes 2 s for the imports alone, which are no part of an answer.
        _, start = timed([sys.executable, '-c', 'import dreamerv2.run.training'], cwd=ROOT)
        for index in range(commands):
            try_command(f'{seed}/commands/{index}', counts['commands'], folder, start)
        left = {child.name for child in folder.rglob('*')} - {'folder', 'file', 'study.yaml'}
        if left:
            counts['commands'].broken.append(f'left behind: {sorted(left)}')
    return counts


def table(counts: Mapping[str, Count]) -> str:
    """The counts in Markdown."""
    lines = ['| input | number | accepted | refused | against the rules | longest (CPU s) |']
    lines.append('| --- | --: | --: | --: | --: | --: |')
    for kind, count in counts.items():
        if not count.number:
            continue
        cells = (kind, count.number, count.accepted, count.refused, len(count.broken))
        lines.append(f'| {" | ".join(map(str, cells))} | {count.worst:.2f} |')
    return '\n'.join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the fuzz; 0 when every answer was permitted, else 1."""
    parser = argparse.ArgumentParser(description='Fuzz of the configuration.')
    parser.add_argument('--inputs', type=int, default=10_000, help='in this process')
    parser.add_argument('--commands', type=int, default=200, help='whole processes')
    parser.add_argument('--seed', type=int, default=0)
    arguments = parser.parse_args(argv)
    counts = fuzz(arguments.inputs, arguments.commands, arguments.seed)
    print(table(counts))
    broken = [line for count in counts.values() for line in count.broken]
    print('\n'.join(ascii(line) for line in broken))
    return 1 if broken else 0


if __name__ == '__main__':
    sys.exit(main())
