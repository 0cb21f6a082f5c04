"""A run of MLflow, in a file store in the logdir."""

from __future__ import annotations

import os
import re
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dreamerv2.run.metrics.tags import gifs, tag
from dreamerv2.run.metrics.tracker import place

FRAMES = 'frames'  # A metric that every row has: the step itself.
MOST_PARAMETERS = 100  # of one call


class MLflowRun:
    """The run of a logdir, new or continued; steps are frames, tags those of TensorBoard.

    Videos are artifacts. A metric of a level is `train/return.1-1`: in a file store `train/return`
    cannot also be a folder.

    Args:
        logdir: the run's; the store is `mlruns` in it.
        config: the run's configuration, dotted key to value.
        task: of the run.
    """

    def __init__(self, logdir: Path, config: Mapping[str, Any], *, task: str) -> None:
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
        self._client.log_batch(
            self._id, [self._metric(key, value, now, step) for key, value in row.items()]
        )
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
