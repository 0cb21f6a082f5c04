"""A run of Weights & Biases: its files are in the logdir, and sent only when asked for."""

from __future__ import annotations

import importlib
import io
import os
import re
import secrets
import struct
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from dreamerv2.durable import write_durably
from dreamerv2.errors import UsageError
from dreamerv2.run.metrics.tags import gifs, tag
from dreamerv2.run.metrics.terminal import print_line
from dreamerv2.run.metrics.tracker import check_installed, place

# Of its files, which have the format of LevelDB's logs: blocks of records cut into pieces.
HEADER, BLOCK = 7, 32768
WHOLE, LAST = 1, 4


class WandbRun:
    """The run of a logdir, new or continued; steps are frames, tags those of TensorBoard.

    Offline nothing is contacted: `wandb sync LOGDIR/wandb/offline-run-*` sends it later.

    Args:
        logdir: the run's; its id is in `wandb/run_id`, and each start has a folder beside it.
        config: the run's configuration, nested.
        mode: `offline` or `online`.
        task: of the run.
    """

    def __init__(
        self,
        logdir: Path,
        config: Mapping[str, Any],
        *,
        mode: Literal['offline', 'online'],
        task: str,
    ) -> None:
        if mode == 'offline':
            os.environ.setdefault('WANDB_ERROR_REPORTING', 'false')  # It would use the network.
        import wandb

        folder = logdir / 'wandb'
        folder.mkdir(exist_ok=True)
        id_file = folder / 'run_id'
        known = id_file.exists()
        if not known:
            write_durably(id_file, secrets.token_hex(4).encode())
        project, group, name = place(logdir.absolute(), task)
        self.last_step = last_step(folder) if known else -1
        self._wandb: Any = wandb
        self._run: Any = wandb.init(
            dir=logdir,
            id=id_file.read_text(),
            resume='allow',
            reinit='create_new',  # The user's program may have a run of its own.
            mode=mode,
            project=os.environ.get('WANDB_PROJECT', re.sub(r'[^\w.-]', '_', project)[:128]),
            group=group[-128:],
            name=name,
            config=dict(config),
            allow_val_change=True,
            settings=wandb.Settings(
                silent=True,
                console='off',
                disable_git=True,
                disable_code=True,
                x_disable_machine_info=True,
                x_save_requirements=False,
                x_transaction_log_flush_interval=1,  # seconds; what a kill loses is sent again
                finish_timeout=60,  # seconds; a server that is gone does not hold up the end
            ),
        )
        self.last_step = max(self.last_step, self._run.starting_step - 1)
        if mode == 'online':
            print_line(f'Weights & Biases: {self._run.url}', sys.stderr)

    def write(self, step: int, scalars: Mapping[str, Any], videos: Mapping[str, Any]) -> None:
        """Adds to the row of a step, in frames; steps must not decrease."""
        row: dict[str, Any] = {tag(name): float(value) for name, value in scalars.items()}
        for name, gif in gifs(step, videos):
            row[tag(name)] = self._wandb.Video(io.BytesIO(gif), format='gif')
        self._run.log(row, step=step)

    def close(self) -> None:
        """Writes the last row; online, waits a minute at most until all is sent."""
        self._run.finish()


def check_wandb(mode: str) -> None:
    """Raises UsageError where the package is missing, or online nobody is logged in."""
    if mode == 'off':
        return
    check_installed(f'wandb {mode}', 'wandb', 'wandb')
    if mode == 'online':
        import wandb

        if not wandb.login(prompt=False, verify=False):
            raise UsageError(
                '--wandb online: no API key; run `wandb login` or set WANDB_API_KEY, or use '
                '--wandb offline.'
            )


def last_step(folder: Path) -> int:
    """The last step in the files of a run; -1 where there is none."""
    steps = [
        record.history.step.num
        for path in folder.glob('*run-*/*.wandb')
        for record in records(path)
        if record.HasField('history')
    ]
    return max(steps, default=-1)


def records(path: Path) -> Iterator[Any]:
    """The records of a `.wandb` file, up to where it was cut off."""
    message = importlib.import_module('wandb.proto.wandb_internal_pb2').Record
    data, record, at = path.read_bytes(), b'', HEADER
    while at + HEADER <= len(data):
        left = BLOCK - at % BLOCK
        if left < HEADER:
            at += left
            continue
        _, size, piece = struct.unpack_from('<IHB', data, at)
        record += data[at + HEADER : at + HEADER + size]
        at += HEADER + size
        if at > len(data) or not size:
            return
        if piece in (WHOLE, LAST):
            yield message.FromString(record)
            record = b''
