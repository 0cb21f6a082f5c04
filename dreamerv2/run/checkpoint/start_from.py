"""Starting from a checkpoint: which arrays an agent loads, starts fresh, or freezes.

A resumed run loads the whole state, an evaluation the parameters, and a new run what `--init`
selects. Arrays are matched by name; the agent checks them.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np

from dreamerv2.cli import did_you_mean
from dreamerv2.config import Config
from dreamerv2.config.merge import plain
from dreamerv2.durable import sha256
from dreamerv2.errors import UsageError, printable, shown
from dreamerv2.paths import expand_home
from dreamerv2.run import checkpoint
from dreamerv2.run.checkpoint import PARAMETERS, Checkpoint, zoo

Arrays = Mapping[str, np.ndarray]
# The state of float16's loss scaling exists only in that precision and is useless in another. The
# counts of skipped updates are not in older checkpoints.
_NOT_ALWAYS = re.compile(r'\w+_opt/(scale|clean|skipped)|skipped/\w+')
NAMED_AT_MOST = 4
SLOW = 'slow_critic/'  # Copied from the critic after loading.


@dataclasses.dataclass(frozen=True)
class Choice:
    """What to do with each parameter; regular expressions match its full name.

    Attributes:
        include: loaded from the checkpoint; empty for all.
        exclude: not loaded all the same; empty for none.
        freeze: not trained; empty for none.
        optimizer: whether the optimizer's moments of what is loaded are loaded too.
    """

    include: str = ''
    exclude: str = ''
    freeze: str = ''
    optimizer: bool = False

    def takes(self, name: str) -> bool:
        """Whether the parameter is loaded from the checkpoint."""
        included = not self.include or re.fullmatch(self.include, name)
        excluded = self.exclude and re.fullmatch(self.exclude, name)
        return bool(included and not excluded)

    def freezes(self, name: str) -> bool:
        """Whether the parameter is frozen."""
        return bool(self.freeze and re.fullmatch(self.freeze, name))


def choice_of(config: Config) -> Choice:
    """The configuration's choice."""
    init = config.init
    return Choice(init.include, init.exclude, init.freeze, init.optimizer)


def parse_source(text: str) -> tuple[Path, int | Literal['best'] | None]:
    """Parses `LOGDIR`, `LOGDIR@STEP` or `LOGDIR@best`; LOGDIR may be `zoo:NAME`."""
    folder, at, step = text.rpartition('@')
    if at and (text.startswith(zoo.PREFIX) or not expand_home(text).exists()):
        if step == 'best':
            return zoo.located(folder), 'best'
        if step.isdecimal():
            return zoo.located(folder), int(step)
        if expand_home(folder).exists():
            raise UsageError(
                f'--init.from {printable(text, 200)}: after @ comes a step in frames, such as '
                f'{printable(folder, 200)}@40000, or best, not {shown(step)}.'
            )
    return zoo.located(text), None


def find_parent(source: str, own: Path) -> Checkpoint:
    """The checkpoint that `--init.from` names, for the run in the logdir `own`.

    Raises:
        UsageError: there is none, its configuration is invalid, or it is the run's own.
    """
    folder, step = parse_source(source)
    if folder.resolve() == own.resolve():
        raise UsageError(
            f'--init.from {source} is the run itself: give another --logdir to start a new run '
            'from it, or omit --init.from to resume it.'
        )
    if meant := checkpoint.enclosing(folder):
        logdir, own_step = meant
        step = own_step if step is None else step
        name = printable(str(logdir), 200) + (f'@{step}' if step is not None else '')
        raise UsageError(
            f'--init.from {printable(source, 200)} is inside a logdir: give the logdir and the '
            f'step, --init.from {name}'
        )
    try:
        found = checkpoint.find(folder, step)
        Config.load(found.config_path)  # It may be untrusted: checked before anything is made.
    except UsageError as error:
        raise UsageError(f'--init.from {source}: {error}') from error
    return found


def check_actions(parent: Config, own: Config, choice: Choice) -> None:
    """Raises UsageError where loaded parameters were trained with other Mario actions.

    Another list of the same length would fit in shape but mean something else.
    """
    if parent.mario_actions == own.mario_actions or not parent.task.startswith('mario'):
        return
    if any(choice.takes(name) for name in ('actor/out/kernel', 'rssm/img_in/kernel')):
        theirs, ours = (shown(plain(config.mario_actions)) for config in (parent, own))
        raise UsageError(
            f'--init.from {printable(parent.logdir, 200)} has mario_actions {theirs}, this run has '
            f'{ours}: use the same, or leave out what depends on them with --init.exclude '
            "'actor/.*|rssm/img_in/.*'"
        )


def describe_parent(parent: Checkpoint) -> dict[str, Any]:
    """Where a run started from, for its provenance."""
    config = Config.load(parent.config_path)
    return {
        'logdir': str(parent.path.parent.parent.resolve()),
        'step': parent.frames,
        'sha256': sha256(parent.path / checkpoint.MANIFEST),
        'task': config.task,
        'seed': config.seed,
    }


def recorded_parent(provenance: Path) -> dict[str, Any] | None:
    """The parent that a `provenance.json` names, if any."""
    try:
        found = json.loads(provenance.read_text()).get('parent')
    except (OSError, ValueError, AttributeError, RecursionError):
        return None
    return found if isinstance(found, dict) and {'logdir', 'step'} <= set(found) else None


def parent_line(parent: Mapping[str, Any]) -> str:
    """One line about where a run started from."""
    # From a provenance file, which may be untrusted and hold anything.
    keys = ('logdir', 'step', 'sha256')
    logdir, step, digest = (printable(str(parent.get(key) or ''), 200) for key in keys)
    manifest = f', manifest {digest[:12]}' if digest else ''
    return f'Started from {logdir} at {step or 0} frames{manifest}.'


def whole_state(saved: Arrays, own: Arrays) -> dict[str, np.ndarray]:
    """The saved arrays, with the loss scaling of a resumed agent, which may have another precision.

    Args:
        saved: the checkpoint's arrays.
        own: the agent's current ones.
    """
    fresh = {name: value for name, value in own.items() if _NOT_ALWAYS.fullmatch(name)}
    useless = {name for name in saved if _NOT_ALWAYS.fullmatch(name) and name not in own}
    return fresh | {name: value for name, value in saved.items() if name not in useless}


def parameters_only(saved: Arrays, own: Arrays) -> dict[str, np.ndarray]:
    """The agent's current state with all parameters replaced by the saved ones."""
    kept = {name: value for name, value in own.items() if not name.startswith(PARAMETERS)}
    return kept | {name: value for name, value in saved.items() if name.startswith(PARAMETERS)}


def inherit(saved: Arrays, own: Arrays, choice: Choice) -> tuple[dict[str, np.ndarray], str]:
    """A fresh agent's state with what it loads from a checkpoint.

    Everything else starts fresh, except the optimizer's moments of loaded parameters if the choice
    says so. The slow critic is a copy of the critic.

    Args:
        saved: the checkpoint's arrays by name.
        own: the fresh agent's.
        choice: what is loaded.

    Returns:
        The state, and a table with the number of loaded, fresh and frozen parameters by module.

    Raises:
        UsageError: what is to be loaded is missing or has another shape, or a pattern matches no
        parameter.
    """
    parameters = [name.removeprefix(PARAMETERS) for name in own if name.startswith(PARAMETERS)]
    chosen = [name for name in parameters if not name.startswith(SLOW)]
    for key in ('include', 'exclude', 'freeze'):
        pattern = getattr(choice, key)
        if pattern and not any(re.fullmatch(pattern, name) for name in chosen):
            modules = [f'{name}/.*' for name in dict.fromkeys(map(_module, chosen))]
            hint = did_you_mean(pattern, modules) or f'{key} all of a module with {modules[0]}'
            raise UsageError(
                f'--init.{key} {pattern!r} matches no parameter: it must match whole names such '
                f'as {chosen[0]}; {hint}'
            )
    taken = [name for name in chosen if choice.takes(name)]
    entries = {PARAMETERS + name for name in taken}
    for name in taken if choice.optimizer else ():
        module, _, rest = name.partition('/')
        prefix = f'{module}_opt/{rest}' if module in ('actor', 'critic') else f'model_opt/{name}'
        if found := {key for key in own if key.startswith(f'{prefix}/moment')}:
            entries |= found | {f'{prefix.split("/")[0]}/updates'}
    _check(saved, own, entries)
    state = {name: saved[name] if name in entries else value for name, value in own.items()}
    for name in parameters:
        if name.startswith(SLOW):
            state[PARAMETERS + name] = state[PARAMETERS + name.replace(SLOW, 'critic/', 1)].copy()
    return state, _table(chosen, choice)


def _check(saved: Arrays, own: Arrays, entries: set[str]) -> None:
    """Raises UsageError where entries cannot be loaded: names them, and what to leave out."""
    missing = sorted(name for name in entries if name not in saved)
    unequal = sorted(n for n in entries if n in saved and saved[n].shape != own[n].shape)
    if not missing and not unequal:
        return
    shapes = [f'{n} is {list(saved[n].shape)}, here {list(own[n].shape)}' for n in unequal]
    extra = sorted(n for n in saved if n.startswith(PARAMETERS) and n not in own)
    groups = {'of another shape': shapes, 'missing': missing, 'only there': extra}
    parts = [f'{what}: {_some(names)}' for what, names in groups.items() if names]

    def modules(names: Iterable[str]) -> list[str]:
        return list(dict.fromkeys(_module(name) for name in names if name.startswith(PARAMETERS)))

    bad = modules(name for name in own if name in {*missing, *unequal})
    if not bad:
        remedy = 'leave out the optimizers with --init.optimizer False'
    elif set(bad) == set(modules(entries)):
        remedy = 'omit --init.from: no module of it fits'
    else:
        pattern = bad[0] if len(bad) == 1 else f'({"|".join(bad)})'
        remedy = f"leave out what does not fit with --init.exclude '{pattern}/.*'"
    raise UsageError(
        f'The checkpoint of --init.from does not fit, nothing was loaded; {"; ".join(parts)}. '
        f'Use the same networks, or {remedy}.'
    )


def _module(name: str) -> str:
    return name.removeprefix(PARAMETERS).split('/')[0]


def _some(names: list[str]) -> str:
    shown = ', '.join(name.removeprefix(PARAMETERS) for name in names[:NAMED_AT_MOST])
    more = len(names) - NAMED_AT_MOST
    return f'{shown} and {more} more' if more > 0 else shown


def _table(names: list[str], choice: Choice) -> str:
    rows: list[tuple[Any, ...]] = [('module', 'loaded', 'fresh', 'frozen')]
    for module in dict.fromkeys(map(_module, names)):
        own = [name for name in names if _module(name) == module]
        loaded, frozen = (sum(map(test, own)) for test in (choice.takes, choice.freezes))
        rows.append((module, loaded, len(own) - loaded, frozen))
    width = max(len(module) for module, *_ in rows)
    lines = [f'{name:{width}}' + ''.join(f'  {n:>6}' for n in counts) for name, *counts in rows]
    return '\n'.join(lines)
