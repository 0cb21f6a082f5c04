"""Which runs are repetitions of one another, so that a mean over their seeds means something."""

import os
import re
from collections.abc import Sequence
from typing import Any

from dreamerv2.analysis.table import Run

# Settings that differ between repetitions, or say where, how long and how often something is done.
# Not `envs`, `envs_parallel` and `async_collect`: with them steps and updates come in another
# order, and other weights act.
_NOT_THE_AGENT = re.compile(
    r'seed|logdir|device|gpu_memory|dry_run|accept_changes|steps|jit|kernels|deterministic'
    r'|(log|eval|save)_.*|sets\..*|init\.(from|dry_run)|replay\.keep_on_disk'
)
_MOST_KEYS_IN_LABEL = 3


def by_task(runs: Sequence[Run]) -> dict[str, list[Run]]:
    """Runs by the name of their task, in the order of the names."""
    tasks: dict[str, list[Run]] = {}
    for run in sorted(runs, key=lambda run: run.task):
        tasks.setdefault(run.task, []).append(run)
    return tasks


def by_setting(runs: Sequence[Run]) -> list[tuple[str, list[Run]]]:
    """Runs of one task as groups with a label, a group holding repetitions with other seeds.

    Runs are repetitions if they have the same place in a study and the same settings of
    environment, collecting and agent. The label names the settings that differ between the groups,
    `actor_ent=0.1`; where too many differ it is the folder the group has to itself. A single
    group has an empty label.
    """
    groups: dict[tuple, list[Run]] = {}
    for run in runs:
        groups.setdefault(_signature(run), []).append(run)
    members = list(groups.values())
    if len(members) == 1:
        return [('', members[0])]
    return list(zip(_labels(members), members, strict=True))


def _signature(run: Run) -> tuple:
    return tuple(sorted((key, str(value)) for key, value in _settings(run).items()))


def _settings(run: Run) -> dict[str, Any]:
    settings = {
        key: value for key, value in run.config.items() if not _NOT_THE_AGENT.fullmatch(key)
    }
    settings['stage'] = ' '.join(
        str(run.study[key]) for key in ('stage', 'set') if run.study.get(key)
    )
    if not run.study:
        settings['init.from'] = _origin(run.config.get('init.from'))
    return settings


def _origin(source: Any) -> str:
    """A parent's logdir without its step and seed, `~/logdir/e4/3@100` as `~/logdir/e4`."""
    if not source:
        return ''
    path = str(source).split('@')[0].rstrip('/')
    parent, last = os.path.split(path)
    return parent if last.isdigit() and parent else path


def _labels(groups: Sequence[Sequence[Run]]) -> list[str]:
    settings = [_settings(group[0]) for group in groups]
    keys = sorted({key for one in settings for key in one})
    differing = [key for key in keys if len({str(one.get(key)) for one in settings}) > 1]
    if len(differing) <= _MOST_KEYS_IN_LABEL:
        return [
            ', '.join(
                str(one.get(key)) if key == 'stage' else f'{key}={one.get(key)}'
                for key in differing
                if one.get(key) not in (None, '')
            )
            or 'default'
            for one in settings
        ]
    folders = [_common_folder(group) for group in groups]
    if len(set(folders)) == len(folders) and all(folders):
        return folders
    return [f'{group[0].name} and its like' for group in groups]


def _common_folder(group: Sequence[Run]) -> str:
    """The folder below the root that all runs of a group share; a single run's is its own."""
    folder = os.path.commonpath([run.name for run in group])
    return '' if folder == '.' else folder
