"""What installed packages add, found by their entry points; nothing is used that was not named.

A package says in its `pyproject.toml`

    [project.entry-points.'dreamerv2.environments']
    maze = 'maze_package:make'

and `--task maze_small` trains on `make('small')`. The groups:

    dreamerv2.environments: a family of tasks; a function from the name after `maze_` to a Gym or
        Gymnasium environment, or to one with our interface.
    dreamerv2.heads: for `--heads NAME`, a `dreamerv2.agent.world_model.Target`.
    dreamerv2.behaviors: for `--expl_behavior NAME`, a class with the interface of
        `dreamerv2.agent.exploration.Greedy`.
    dreamerv2.callbacks: for `--callbacks NAME`, a class of `dreamerv2.run.callbacks.Callback`,
        made without arguments; it may add metrics.
"""

import importlib.metadata
from typing import Any

from dreamerv2.errors import UsageError, printable, shown


def names(group: str) -> list[str]:
    """Names in a group such as `environments`, sorted."""
    return sorted({point.name for point in _points(group)})


def load(group: str, name: str) -> Any:
    """What a name stands for.

    Raises:
        UsageError: no package, or more than one, has the name, or what it names cannot be imported.
    """
    points = [point for point in _points(group) if point.name == name]
    if not points:
        there = ', '.join(names(group)) or 'none is installed'
        raise UsageError(f'no package adds {shown(name)} to dreamerv2.{group}: {there}')
    if len({point.value for point in points}) > 1:
        values = ' and '.join(sorted({point.value for point in points}))
        raise UsageError(
            f'{shown(name)} of dreamerv2.{group} is {values}: uninstall one of the packages'
        )
    try:
        return points[0].load()
    except Exception as error:  # Another package's code.
        raise UsageError(
            f'{shown(name)} of dreamerv2.{group}, {points[0].value}, cannot be imported: '
            f'{type(error).__name__}: {printable(str(error), 200)}'
        ) from error


def _points(group: str) -> Any:
    return importlib.metadata.entry_points(group=f'dreamerv2.{group}')
