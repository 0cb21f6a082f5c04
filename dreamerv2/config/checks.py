"""Checks of a whole configuration beyond single keys, and notes about keys without effect."""

from __future__ import annotations

import contextlib
import pathlib
import re
from collections.abc import Iterator, Mapping
from typing import Any

from dreamerv2.cli import did_you_mean
from dreamerv2.config.schema import UNBUILT_EXPLORATION
from dreamerv2.errors import UsageError, printable, shown

UNBUILT_TASKS = {
    'dmc': 'DeepMind Control is not supported; use a gym_ task, such as '
    '--configs control --task gym_Pendulum-v1',
    'crafter': 'Crafter is not supported; if its package is installed, try '
    '--task gym_crafter:CrafterReward-v1',
}
UNBUILT_PRESETS = {
    'dmc_proprio': 'it is called control here, for any gym_ task',
    'dmc_vision': UNBUILT_TASKS['dmc'],
    'crafter': UNBUILT_TASKS['crafter'],
}
WITHOUT_EFFECT = {
    'slow_baseline': 'nor did it in the original',
    'dmc_camera': 'DeepMind Control is not supported',
    'expl_until': 'with expl_behavior greedy exploration is the actor itself',
}


def check(flat: Mapping[str, Any]) -> None:
    """Raises UsageError where keys contradict each other or request what is not supported."""
    for problem in _problems(flat):
        raise UsageError(problem)


def check_preset(name: str, known: Mapping[str, Any], path: pathlib.Path) -> None:
    """Raises UsageError when a preset is not in the file."""
    if name in known:
        return
    if name in UNBUILT_PRESETS:
        raise UsageError(f'--configs {name}: {UNBUILT_PRESETS[name]}')
    hint = did_you_mean(name, known)
    listed = f'{printable(str(path), 100)} has {printable(", ".join(known), 200)}'
    raise UsageError(
        ' '.join(filter(None, [f'--configs: unknown preset {shown(name)};', hint, listed]))
    )


def check_folder(logdir: str) -> None:
    """Raises UsageError when the logdir, or a folder above it, is a file."""
    path = pathlib.Path(logdir)
    given = f'--logdir {printable(logdir, 100)}'
    for place in (path, *path.parents):
        try:
            if place.exists() and not place.is_dir():
                raise UsageError(f'{given}: {printable(str(place), 100)} is a file; give a folder')
        except OSError as error:
            raise UsageError(f'{given}: {error.strerror}') from error


def resolve_logdir(flat: Mapping[str, Any]) -> str:
    """The logdir with `~` expanded and `{key}` filled in.

    Without a home folder `~` is kept, since the logdir may be set later; using the folder then
    fails.

    Raises UsageError for an unknown key, and for a value that would lead outside the folder.
    """
    given = f'--logdir {printable(flat["logdir"], 100)}'
    if flat['logdir'].startswith('zoo:'):
        raise UsageError(
            f'{given}: nothing is trained in the zoo; give a folder, and --init.from '
            f'{printable(flat["logdir"], 100)} to start from its agent'
        )

    def fill(match: re.Match[str]) -> str:
        name = match.group(1)
        if name not in flat or name == 'logdir':
            raise UsageError(
                f'{given}: {{{printable(name)}}} is not a key; use {{task}} or {{seed}}'
            )
        value = str(flat[name])
        if not {'', '.', '..'}.isdisjoint(value.split('/')):
            raise UsageError(
                f'{given}: {name} {shown(value)} is not a name for a folder; write one in its place'
            )
        return value

    template = str(pathlib.Path(flat['logdir']))
    with contextlib.suppress(RuntimeError):
        template = str(pathlib.Path(flat['logdir']).expanduser())
    return re.sub(r'\{([\w.]*)\}', fill, template)


def notes(flat: Mapping[str, Any], defaults: Mapping[str, Any]) -> tuple[str, ...]:
    """One line for each setting that is accepted but does nothing."""
    changed = [key for key in flat if flat[key] != defaults.get(key)]
    lines = [
        f'{key} does nothing: {why}'
        for key, why in WITHOUT_EFFECT.items()
        if key in changed and (key != 'expl_until' or flat['expl_behavior'] == 'greedy')
    ]
    if not flat['task'].startswith('atari'):
        lines += [
            f'{key} does nothing: {printable(flat["task"])} is not an Atari game'
            for key in changed
            if key.startswith('atari_')
        ]
    unused = [key for key in changed if key in UNBUILT_EXPLORATION]
    if unused:
        verb = 'does' if len(unused) == 1 else 'do'
        lines.append(
            f'{", ".join(unused)} {verb} nothing: Plan2Explore and ModelLoss are not supported'
        )
    return tuple(lines)


def _problems(flat: Mapping[str, Any]) -> Iterator[str]:
    family = flat['task'].partition('_')[0]
    if family in UNBUILT_TASKS:
        yield f'--task {printable(flat["task"])}: {UNBUILT_TASKS[family]}'
    if 'discount' in flat['grad_heads'] and not flat['pred_discount']:
        yield 'pred_discount is False but grad_heads has discount: add --grad_heads decoder reward'
    low, high = flat['replay.minlen'], flat['replay.maxlen']
    if high and low > high:
        yield f'replay.minlen {low} is above replay.maxlen {high}: lower one or raise the other'
    window, limit = flat['dataset.length'], flat['time_limit']
    needed = min(flat['replay.minlen'] or window, window)
    if flat['replay.past_end'] == 'off' and 0 < limit < needed - 1:
        yield (
            f'with time_limit {limit} no episode has the {needed} rows of a window: use '
            f'--replay.past_end short, or --dataset.length {limit + 1}'
        )
    if flat['dataset.length'] > flat['replay.capacity']:
        yield (
            f'replay.capacity {flat["replay.capacity"]} is below dataset.length '
            f'{flat["dataset.length"]}: raise it'
        )
    if flat['level_weights'] and not sum(flat['level_weights']) > 0:
        yield 'level_weights are all 0: give at least one level a weight'
    if not flat['init.from']:
        given = [key for key in flat if key.startswith('init.') and flat[key]]
        if flat['prefill_policy'] == 'init':
            given.append('prefill_policy')
        if given:
            value = printable(str(flat[given[0]]))
            yield f'--{given[0]} {value} needs a checkpoint: add --init.from LOGDIR'
    yield from _image_problems(flat)


def _image_problems(flat: Mapping[str, Any]) -> Iterator[str]:
    """The convolutions must fit the size of images: kernels of stride 2 without padding."""
    height, width = flat['render_size']
    if flat['encoder.cnn_keys'] != '$^':
        size = min(height, width)
        for kernel in flat['encoder.cnn_kernels']:
            size = (size - kernel) // 2 + 1 if size >= kernel else 0
        if size < 1:
            yield (
                f'encoder.cnn_kernels {list(flat["encoder.cnn_kernels"])} are too large for '
                f'render_size {height} {width}: use fewer or smaller kernels'
            )
    if flat['decoder.cnn_keys'] != '$^':
        size = 1
        for kernel in flat['decoder.cnn_kernels']:
            size = (size - 1) * 2 + kernel
        if (height, width) != (size, size):
            yield (
                f'decoder.cnn_kernels {list(flat["decoder.cnn_kernels"])} draw images of '
                f'{size}x{size}, but render_size is {height} {width}: make them agree'
            )
