"""Changes every byte of a small episode and a small checkpoint, and cuts both off everywhere.

    python -m tests.faults.flips

All eight bits of each byte are flipped one at a time, and all at once; each file is cut off at
every length and made one byte longer. What is damaged must be refused with its name.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from dreamerv2.replay import disk
from dreamerv2.run import checkpoint
from tests.faults import faults, report

ALL_BITS = (1, 2, 4, 8, 16, 32, 64, 128, 255)


def flipped(data: bytes, masks: Sequence[int] | None = None) -> Iterator[tuple[str, bytes]]:
    """Every byte changed by every mask; by default each byte in one bit, in turn."""
    changed = bytearray(data)
    for at in range(len(data)):
        for mask in masks or (1 << at % 8,):
            changed[at] ^= mask
            yield f'byte {at} changed by {mask}', bytes(changed)
            changed[at] ^= mask


def cut(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Every beginning of the data, and the data with one byte more."""
    for length in range(len(data)):
        yield f'cut off at byte {length}', data[:length]
    for more in (b'\\0', data[-1:]):
        yield f'longer by {more!r}', data + more


def refusals(
    path: Path, changes: Iterator[tuple[str, bytes]], load: Callable[[], object]
) -> tuple[int, list[str]]:
    """How many changes of a file were tried, and those that `load` did not refuse by name."""
    data = path.read_bytes()
    tried, accepted = 0, []
    for what, changed in changes:
        tried += 1
        # In place: a new file each time would take the disk far longer.
        with open(path, 'rb+') as file:
            file.write(changed)
            file.truncate()
        try:
            load()
        except (disk.DamagedEpisodeError, checkpoint.DamagedCheckpointError) as error:
            # Named is the file, or the checkpoint that it is of.
            if str(path) not in str(error) and str(path.parent) not in str(error):
                accepted.append(f'{path.name}, {what}: refused without its name: {error}')
        except Exception as error:
            accepted.append(f'{path.name}, {what}: {type(error).__name__} {error}')
        else:
            accepted.append(f'{path.name}, {what}: loaded')
    path.write_bytes(data)
    load()
    return tried, accepted


def check_file(
    name: str, path: Path, load: Callable[[], object], masks: Sequence[int] | None
) -> tuple[dict[str, object], list[str]]:
    """A row of a table for one file, and what was not refused."""
    data = path.read_bytes()
    flips, accepted = refusals(path, flipped(data, masks), load)
    cuts, accepted_cuts = refusals(path, cut(data), load)
    accepted += accepted_cuts
    row = {
        'file': name,
        'bytes': len(data),
        'flips': flips,
        'truncations': cuts,
        'loaded, or refused without a name': len(accepted),
    }
    return row, accepted


def check_episode(
    folder: Path, masks: Sequence[int] | None = None
) -> tuple[list[dict[str, object]], list[str]]:
    """A row of a table for an episode's file, and what was not refused."""
    faults.write_episode(folder, 3)
    (file,) = disk.list_files(folder)
    row, accepted = check_file('episode', file.path, lambda: disk.read_episode(file), masks)
    return [row], accepted


def check_checkpoint(
    folder: Path, masks: Sequence[int] | None = None
) -> tuple[list[dict[str, object]], list[str]]:
    """A row of a table for each of a checkpoint's files, and what was not refused."""
    faults.save(folder, 100, 1, score=1.5)
    (path,) = checkpoint.available(folder / 'checkpoints')
    rows, accepted = [], []
    for file in sorted(path.iterdir()):
        name = f'checkpoint: {file.name}'
        row, found = check_file(name, file, lambda: checkpoint.load(path), masks)
        rows.append(row)
        accepted += found
    return rows, accepted


def check_plain_episode(folder: Path) -> dict[str, object]:
    """The same for an episode as NumPy writes it: what a zip archive's checksums leave open."""
    path = disk.new_file(folder, 3, len(faults.episode(3)['reward'])).path
    np.savez_compressed(path, **faults.episode(3))
    (file,) = disk.list_files(folder)
    row, _ = check_file('episode without checksum', path, lambda: disk.read_episode(file), ALL_BITS)
    return row


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the program; 0 if everything was refused."""
    parser = argparse.ArgumentParser(
        prog='flips', description='Changes every bit of an episode and of a checkpoint.'
    )
    parser.add_argument('--json', type=Path, help='write the figures here too')
    parser.add_argument(
        '--plain', action='store_true', help='also for an episode without checksum, which may load'
    )
    arguments = parser.parse_args(argv)
    rows, accepted = [], []
    for check in (check_episode, check_checkpoint):
        with tempfile.TemporaryDirectory() as folder:
            found = check(Path(folder), ALL_BITS)
        rows += found[0]
        accepted += found[1]
    if arguments.plain:
        with tempfile.TemporaryDirectory() as folder:
            rows.append(check_plain_episode(Path(folder)))
    report.tell(rows, arguments.json)
    for line in accepted[:20]:
        print(line, file=sys.stderr)
    return int(bool(accepted))


if __name__ == '__main__':
    sys.exit(main())
