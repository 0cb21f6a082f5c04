"""Experiment trackers as outputs: they never end a run; a resumed run continues the same one.

Weights & Biases and MLflow keep their files in the logdir; they are sent only when asked for.
"""

from __future__ import annotations

import importlib
import importlib.util
import io
import logging
import os
import re
import secrets
import struct
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from dreamerv2.config import Config
from dreamerv2.durable import write_durably
from dreamerv2.errors import UsageError, printable
from dreamerv2.run.metrics import jsonl
from dreamerv2.run.metrics.logger import Logger, Output
from dreamerv2.run.metrics.tags import gifs, tag
from dreamerv2.run.metrics.terminal import print_line

logger = logging.getLogger(__name__)

PLAN = 'plan.json'  # At the root of a study.
FRAMES = 'frames'  # A metric of MLflow that every row has: the step itself.
MOST_PARAMETERS = 100  # of one call of MLflow
# Of W&B's files, which have the format of LevelDB's logs: blocks of records cut into pieces.
HEADER, BLOCK = 7, 32768
WHOLE, LAST = 1, 4


def check_loggers(config: Config) -> None:
    """Raises UsageError where a tracker that the configuration names cannot be used.

    A package is missing, or nobody is logged in where W&B is `online`.
    """
    if config.wandb != 'off':
        check_installed(f'wandb {config.wandb}', 'wandb', 'wandb')
    if config.wandb == 'online':
        import wandb

        if not wandb.login(prompt=False, verify=False):
            raise UsageError(
                '--wandb online: no API key; run `wandb login` or set WANDB_API_KEY, or use '
                '--wandb offline.'
            )
    if config.mlflow:
        check_installed('mlflow True', 'mlflow', 'mlflow-skinny')


def check_installed(key: str, package: str, install: str) -> None:
    """Raises UsageError where a package that a key needs is not installed."""
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:  # A mere folder of that name has no origin.
        raise UsageError(
            f"--{key} needs the package {install}: pip install '.[{package}]', or leave it out."
        )


def trackers(config: Config, logdir: Path) -> list[Output]:
    """The trackers that a configuration names, for a logdir with a `metrics.jsonl`.

    Each is in a thread of its own: a checkpoint waits for the other outputs, but not for a tracker.
    """
    runs: dict[str, Callable[[], Any]] = {}
    mode, task = config.wandb, config.task
    if mode != 'off':
        runs['Weights & Biases'] = lambda: WandbRun(logdir, config.to_dict(), mode, task)
    if config.mlflow:
        runs['MLflow'] = lambda: MLflowRun(logdir, config.flat, task)
    return [Logger([Tracker(name, open_run, logdir)]) for name, open_run in runs.items()]


class Tracker:
    """Opens a tracker's run at the first metrics, and passes them on.

    The run gets each step of `metrics.jsonl` once. What it lacks is sent when it is opened: the
    last lines before a kill, or all of them if it was off until now. Steps that it has, and that a
    run repeats after it resumed from an earlier checkpoint, are left out. After an error the
    training continues without it.

    Args:
        name: of the tracker, for a warning.
        open_run: opens the run, or continues it: a `WandbRun` or `MLflowRun`.
        logdir: with a `metrics.jsonl`, which ends where this output begins.
    """

    def __init__(self, name: str, open_run: Callable[[], Any], logdir: Path) -> None:
        self._name = name
        self._open_run = open_run
        self._logdir = logdir
        self._size = (logdir / jsonl.METRICS).stat().st_size
        self._run: Any = None
        self._failed = False

    def write(self, step: int, scalars: Mapping[str, Any], videos: Mapping[str, Any]) -> None:
        """Passes on a step that the run does not have."""
        if not self._failed:
            self._attempt(self._write, step, scalars, videos)

    def close(self) -> None:
        """Closes the run."""
        if self._run is not None:
            self._attempt(self._run.close)

    def _write(self, step: int, scalars: Mapping[str, Any], videos: Mapping[str, Any]) -> None:
        if self._run is None:
            self._run = self._open_run()
            for earlier, metrics in jsonl.rows(self._logdir, self._size):
                if earlier > self._run.last_step:
                    self._run.write(earlier, metrics, {})
        if step > self._run.last_step:
            self._run.write(step, scalars, videos)

    def _attempt(self, action: Callable[..., None], *arguments: Any) -> None:
        try:
            action(*arguments)
        except Exception as error:  # Other people's code, their servers, a full disk.
            if not self._failed:
                reason = printable(f'{type(error).__name__}: {error}', 300)
                logger.warning('The run continues without %s: %s', self._name, reason)
            self._failed = True


def place(logdir: Path, task: str) -> tuple[str, str, str]:
    """Project, group and name of a run: a study, what differs in the seed, and the run.

    Outside studies the project is `dreamerv2` and the group is the task.
    """
    for root in logdir.parents:
        if (root / PLAN).exists():
            name = logdir.relative_to(root)
            return root.name, str(name.parent), str(name)
    return 'dreamerv2', task, os.sep.join(logdir.parts[-2:])


# Weights & Biases


class WandbRun:
    """The run of a logdir, new or continued; steps are frames, tags those of TensorBoard.

    Offline nothing is contacted: `wandb sync LOGDIR/wandb/offline-run-*` sends it later.

    Args:
        logdir: the run's; its id is in `wandb/run_id`, and each start has a folder beside it.
        config: the run's configuration, nested.
        mode: `offline` or `online`.
        task: of the run.

    Attributes:
        last_step: the last step it had when it was opened; -1 for a new run.
    """

    def __init__(self, logdir: Path, config: Mapping[str, Any], mode: Any, task: str) -> None:
        if mode == 'offline':
            os.environ.setdefault('WANDB_ERROR_REPORTING', 'false')  # It would use the network.
        import wandb

        folder = logdir / 'wandb'
        folder.mkdir(exist_ok=True)
        id_file = folder / 'run_id'
        self.last_step = last_step(folder) if id_file.exists() else -1
        if not id_file.exists():
            write_durably(id_file, secrets.token_hex(4).encode())
        project, group, name = place(logdir.absolute(), task)
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


def last_step(folder: Path) -> int:
    """The last step in the files of a run of W&B; -1 where there is none."""
    found = (record for path in folder.glob('*run-*/*.wandb') for record in records(path))
    return max((each.history.step.num for each in found if each.HasField('history')), default=-1)


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


# MLflow


class MLflowRun:
    """The run of a logdir, new or continued; steps are frames, tags those of TensorBoard.

    Videos are artifacts. A metric of a level is `train/return.1-1`: in a file store `train/return`
    cannot also be a folder.

    Args:
        logdir: the run's; the store is `mlruns` in it.
        config: the run's configuration, dotted key to value.
        task: of the run.

    Attributes:
        last_step: the last step it had when it was opened; -1 for a new run.
    """

    def __init__(self, logdir: Path, config: Mapping[str, Any], task: str) -> None:
        os.environ.setdefault('MLFLOW_ALLOW_FILE_STORE', 'true')  # It is refused otherwise.
        os.environ.setdefault('MLFLOW_DISABLE_TELEMETRY', 'true')
        from mlflow import MlflowClient, entities

        self._metric = entities.Metric
        self._client = client = MlflowClient((logdir / 'mlruns').absolute().as_uri())
        runs = client.search_runs([each.experiment_id for each in client.search_experiments()])
        if runs:
            self._id = runs[0].info.run_id
            client.update_run(self._id, status='RUNNING')
        else:
            project, group, name = place(logdir.absolute(), task)
            experiment = client.create_experiment(project)
            created = client.create_run(experiment, run_name=name, tags={'group': group})
            self._id = created.info.run_id
            values = [entities.Param(key, str(value)) for key, value in config.items()]
            for start in range(0, len(values), MOST_PARAMETERS):
                client.log_batch(self._id, params=values[start : start + MOST_PARAMETERS])
        steps = [metric.step for metric in client.get_metric_history(self._id, FRAMES)]
        self.last_step = max(steps, default=-1)

    def write(self, step: int, scalars: Mapping[str, Any], videos: Mapping[str, Any]) -> None:
        """Adds a row of metrics at a step, in frames."""
        now = int(1000 * time.time())
        row = {FRAMES: step, **{_key(name): float(value) for name, value in scalars.items()}}
        metrics = [self._metric(key, value, now, step) for key, value in row.items()]
        self._client.log_batch(self._id, metrics)
        with tempfile.TemporaryDirectory() as folder:
            for name, gif in gifs(step, videos):
                path = Path(folder) / f'{step:012d}.gif'
                path.write_bytes(gif)
                self._client.log_artifact(self._id, str(path), _key(name))

    def close(self) -> None:
        """Marks the run as finished."""
        self._client.set_terminated(self._id)


def _key(name: str) -> str:
    group, _, rest = tag(name).partition('/')
    return re.sub(r'[^\w ./-]', '_', f'{group}/{rest.replace("/", ".")}' if rest else group)
