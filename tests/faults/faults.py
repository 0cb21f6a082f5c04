"""Lets every single call of a save fail, one at a time, and looks whether anything is mixed.

    python -m tests.faults.faults

Each scenario is played once to count its calls, and then once for each call and each kind of fault:
that call fails with ENOSPC or EIO, alone or with all after it; the process ends there; or the power
goes, and what no fsync made durable is gone too.
"""

from __future__ import annotations

import argparse
import errno
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dreamerv2.errors import DiskFullError, StorageError
from dreamerv2.replay import Replay, disk
from dreamerv2.run import checkpoint
from tests.faults import report
from tests.faults.injection import Crashed, Faults
from tests.faults.work import episode_rows, is_as_written, make_row

# Error number or None for a crash, whether all later calls fail too, whether the power goes.
KINDS = {
    'ENOSPC': (errno.ENOSPC, False, False),
    'ENOSPC lasting': (errno.ENOSPC, True, False),
    'EIO': (errno.EIO, False, False),
    'EIO lasting': (errno.EIO, True, False),
    'crash': (None, True, False),
    'power cut': (None, True, True),
}
State = Mapping[int, object]


@dataclass(frozen=True)
class Scenario:
    """Something that is written.

    Attributes:
        name: what it is.
        prepare: makes what is there before.
        act: writes.
        state: what is there, by number; raises what says that it is damaged.
        going_on: writes something more, and checks it, once faults are over.
        old, new: the states before and after; others that are complete as well.
    """

    name: str
    prepare: Callable[[Path], object]
    act: Callable[[Path], object]
    state: Callable[[Path], State]
    going_on: Callable[[Path], object]
    old: State
    new: Sequence[State]


def save(folder: Path, frames: int, value: int = 0, **options: object) -> None:
    """Saves a small checkpoint."""
    checkpoint.save(
        folder / 'checkpoints',
        frames,
        arrays={'value': np.full(3, value, np.int64), 'frames': np.array(frames)},
        state={'value': value},
        files={'config.yaml': b'seed: 0\n', 'batch.npz': bytes([value % 256])},
        **options,
    )


def checkpoints(folder: Path) -> State:
    """What each checkpoint holds: one value if all of its files agree; and its score."""
    checkpoint.recover(folder / 'checkpoints')
    newest = checkpoint.load_newest(folder / 'checkpoints', _damaged)
    checkpoint.tidy(folder / 'checkpoints', newest)
    state = {}
    for path in checkpoint.available(folder / 'checkpoints'):
        saved = checkpoint.load(path)
        values = {int(value) for value in saved.arrays()['value']}
        values |= {saved.state['value'], saved.file(checkpoint.BATCH)[0]}
        assert len(values) == 1, f'{path} is mixed of {values}'
        state[saved.frames] = (*values, saved.score)
    return state


def save_again(folder: Path) -> None:
    """Saves twice, after which the two are there (and the best), and nothing else."""
    for frames in (900, 1000):
        save(folder, frames, 7)
    root = folder / 'checkpoints'
    names = {path.name for path in root.iterdir()}
    kept = {f'{frames:010d}' for frames in (900, 1000)}
    best = {path.name for path in checkpoint.available(root) if checkpoint.load(path).score}
    assert names == kept | best, f'{names} stayed'


def episode(number: int) -> dict[str, np.ndarray]:
    """An episode, whatever was added before it."""
    rows = episode_rows(number)
    steps = [make_row(1000 * number + offset, offset, rows) for offset in range(rows)]
    return {key: np.stack([step[key] for step in steps]) for key in steps[0]}


def write_episode(folder: Path, number: int) -> None:
    """Writes an episode's file."""
    arrays = episode(number)
    disk.write_episode(disk.new_file(folder, number, len(arrays['reward'])).path, arrays)


def add_episode(folder: Path, number: int) -> None:
    """Adds an episode to a replay, which writes it beside."""
    replay = Replay(folder)
    arrays = episode(number)
    for row in range(len(arrays['reward'])):
        replay.add_step({key: value[row] for key, value in arrays.items()})
    try:
        replay.close()
    except StorageError:
        replay._archive._writer.wait()  # It tries again.
        raise


def episodes(folder: Path) -> State:
    """Which episodes are there."""
    replay = Replay(folder)
    assert not (folder / 'quarantine').exists()
    for file in disk.list_files(folder):
        assert is_as_written(disk.read_episode(file)), file.path
    assert not list(folder.glob('*.tmp')) and not list(folder.glob('.*.tmp'))
    return {e.serial: e.rows for e in replay.episodes()}


def add_again(folder: Path) -> None:
    """Adds one more, which is there afterwards."""
    before = episodes(folder)
    write_episode(folder, 9)
    assert episodes(folder) == {**before, 9: episode_rows(9)}


def _two(folder: Path, score: float | None = None) -> None:
    save(folder, 100, 1, score=score)
    save(folder, 200, 2)


def _damaged(line: str) -> None:
    raise checkpoint.DamagedCheckpointError(line)


ONE, TWO, THREE = (1, None), (2, None), (3, None)
FIRST = {0: episode_rows(0)}
SCENARIOS = (
    Scenario(
        'first checkpoint',
        lambda folder: None,
        lambda folder: save(folder, 100, 1),
        checkpoints,
        save_again,
        {},
        [{100: ONE}],
    ),
    Scenario(
        'next checkpoint, the oldest goes',
        _two,
        lambda folder: save(folder, 300, 3),
        checkpoints,
        save_again,
        {100: ONE, 200: TWO},
        [{200: TWO, 300: THREE}, {100: ONE, 200: TWO, 300: THREE}],
    ),
    Scenario(
        'next checkpoint, the oldest is the best',
        lambda folder: _two(folder, 5.0),
        lambda folder: save(folder, 300, 3),
        checkpoints,
        save_again,
        {100: (1, 5.0), 200: TWO},
        [{100: (1, 5.0), 200: TWO, 300: THREE}],
    ),
    Scenario(
        'checkpoint in place of another',
        _two,
        lambda folder: save(folder, 200, 3),
        checkpoints,
        save_again,
        {100: ONE, 200: TWO},
        [{100: ONE, 200: THREE}],
    ),
    Scenario(
        'score of a checkpoint',
        _two,
        lambda folder: checkpoint.record_score(folder / 'checkpoints', 200, 4.0),
        checkpoints,
        save_again,
        {100: ONE, 200: TWO},
        [{100: ONE, 200: (2, 4.0)}],
    ),
    Scenario(
        'episode',
        lambda folder: write_episode(folder, 0),
        lambda folder: write_episode(folder, 1),
        episodes,
        add_again,
        FIRST,
        [{**FIRST, 1: episode_rows(1)}],
    ),
    Scenario(
        'episode of a replay',
        lambda folder: write_episode(folder, 0),
        lambda folder: add_episode(folder, 1),
        episodes,
        add_again,
        FIRST,
        [{**FIRST, 1: episode_rows(1)}],
    ),
)


def calls(scenario: Scenario) -> list[str]:
    """The calls that a scenario makes."""
    with tempfile.TemporaryDirectory() as folder:
        with Faults():
            scenario.prepare(Path(folder))
        with Faults() as faults:
            scenario.act(Path(folder))
        assert scenario.state(Path(folder)) == scenario.new[0]
    return faults.calls


def play(scenario: Scenario, position: int, kind: str) -> str:
    """Plays a scenario with one fault: `old` or `new`, or `said: ...` with what is wrong."""
    code, lasting, power = KINDS[kind]
    folder = Path(tempfile.mkdtemp())
    try:
        with Faults():  # Quick, without waiting for the disk.
            scenario.prepare(folder)
        raised: BaseException | None = None
        with Faults(position, code, lasting) as faults:
            try:
                scenario.act(folder)
            except (Crashed, StorageError) as error:
                raised = error
        assert faults.failed, 'no call failed'
        if isinstance(raised, StorageError):
            _check_line(raised, code)
        if power:
            faults.lose_unsynced(folder)
        with Faults():
            state = scenario.state(folder)
            scenario.going_on(folder)
    except Exception as error:
        return f'{scenario.name}, {kind} at call {position}: {type(error).__name__} {error}'
    finally:
        shutil.rmtree(folder)
    if state in scenario.new:
        return 'new'
    if state == scenario.old and raised is not None:
        return 'old'
    return f'{scenario.name}, {kind} at call {position}: {state} after {raised!r}'


def _check_line(error: StorageError, code: int | None) -> None:
    line = str(error)
    assert '\n' not in line and error.errno == code, line
    assert f'({error.needed} bytes needed, {error.free} free)' in line and error.needed > 0, line
    assert error.filename in line and (code != errno.ENOSPC or isinstance(error, DiskFullError))


def play_all(scenario: Scenario) -> tuple[dict[str, object], list[str]]:
    """Every call with every kind: a row of a table, and what is neither old nor new."""
    names = calls(scenario)
    # A thread that writes beside cannot be ended alone.
    threaded = scenario.name == 'episode of a replay'
    kinds = [kind for kind, (code, *_) in KINDS.items() if code is not None or not threaded]
    results = [play(scenario, at, kind) for at in range(len(names)) for kind in kinds]
    mixed = [result for result in results if result not in ('old', 'new')]
    row = {
        'what is written': scenario.name,
        'calls': len(names),
        'writes': names.count('write'),
        'fsyncs': names.count('fsync'),
        'renames': names.count('rename') + names.count('replace'),
        'faults': len(results),
        'old': results.count('old'),
        'new': results.count('new'),
        'mixed': len(mixed),
    }
    return row, mixed


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the program; 0 if nothing was mixed."""
    parser = argparse.ArgumentParser(
        prog='faults', description='Lets every call of a save fail, one at a time.'
    )
    parser.add_argument('--json', type=Path, help='write the figures here too')
    arguments = parser.parse_args(argv)
    rows, mixed = [], []
    for scenario in SCENARIOS:
        row, found = play_all(scenario)
        rows.append(row)
        mixed += found
    report.tell(rows, arguments.json)
    for line in mixed[:20]:
        print(line, file=sys.stderr)
    return int(bool(mixed))


if __name__ == '__main__':
    sys.exit(main())
