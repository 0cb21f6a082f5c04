"""How a run may differ from what it was when it goes on: freely, when accepted, or never.

Every key of the configuration is in one of three classes. The free ones say how long, how often,
where and how fast: neither the task nor the way of learning depends on them. The numbers may, as
`envs`, `envs_parallel` and `async_collect` decide in which order steps and updates come and which
weights act. Those that may be accepted change how learning goes on, but fit what the run has: its
weights and optimizer states, its replay and its environments. All others are fixed, for a reason.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from typing import Any

from dreamerv2.config import Config
from dreamerv2.config.checks import WITHOUT_EFFECT
from dreamerv2.config.schema import UNBUILT_EXPLORATION
from dreamerv2.envs import parse_task
from dreamerv2.errors import UsageError, printable, shown
from dreamerv2.run.build import task_sets

SHOWN_AT_MOST = 10
# How long, how often, where and how fast.
FREE = (
    'steps',
    r'(log|save|eval)_every',
    r'eval_(eps|policy|noise|state_mean)',
    r'log_keys_\w+',
    'device',
    'gpu_memory',
    'jit',
    'kernels',
    'deterministic',
    'envs',
    'envs_parallel',
    'async_collect',
    r'replay\.keep_on_disk',
    *map(re.escape, (*WITHOUT_EFFECT, *UNBUILT_EXPLORATION)),
)
UNMENTIONED = ('logdir', 'dry_run', r'init\.dry_run', 'accept_changes')
ACCEPTABLE = (
    'precision',
    r'(model|actor|critic)_opt\.(lr|eps|clip|wd|agc|warmup)',
    r'(loss_scales|kl|reward_norm)\.\w+',
    r'return_norm\.(rate|low|high|least)',
    r'(rssm|actor)\.unimix|decoder\.error_weight|slow_regularizer|bootstrap',
    'grad_heads',
    'discount',
    'discount_lambda',
    'imag_horizon',
    'actor_grad',
    'actor_grad_mix',
    'actor_ent',
    r'slow_target_(update|fraction)',
    'clip_rewards',
    'expl_noise',
    'prefill',
    'pretrain',
    'train_every',
    'train_steps',
    r'replay\.(ongoing|minlen|maxlen|prioritize_ends|past_end)',
)
NETWORKS = 'makes the networks and optimizers what they are'
ENVIRONMENT = 'makes the environment what it is'
FIXED = {
    r'(rssm|(en|de)coder|(reward|discount)_head|actor|critic)'
    r'\.(?!unimix|error_weight)\w+': NETWORKS,
    r'(model|actor|critic)_opt\.opt': NETWORKS,
    r'pred_discount|slow_target|return_norm\.scope': NETWORKS,
    'task|render_size|grayscale|sticky|action_repeat|time_limit|level_weights': ENVIRONMENT,
    r'(atari|mario)_\w+|sets\.\w+': ENVIRONMENT,
    r'replay\.capacity': 'decides what the replay holds',
    r'dataset\.\w+': 'shapes the batch that waits in the checkpoint',
    r'seed|prefill_policy|expl_behavior|init\.(?!dry_run)\w+': 'decides how the run began',
}
# Fixed from the first checkpoint on; the episodes before it do not depend on them.
OF_LEARNING = (
    *(pattern for pattern, reason in FIXED.items() if reason == NETWORKS),
    r'dataset\.\w+',
    r'init\.(?!dry_run)\w+',
    'expl_behavior',
)


@dataclasses.dataclass(frozen=True)
class Change:
    """A key that differs.

    Attributes:
        key: dotted.
        old, new: its values.
        acceptable: whether it may change when the user accepts it; a free one always may.
        reason: why it may not, or empty.
    """

    key: str
    old: Any
    new: Any
    acceptable: bool = False
    reason: str = ''

    @property
    def free(self) -> bool:
        """Whether it may change without a word of the user."""
        return not self.acceptable and not self.reason

    def __str__(self) -> str:
        return f'{self.key} {shown(_plain(self.old))} -> {shown(_plain(self.new))}'


def changes(old: Config, new: Config, *, learned: bool = True) -> list[Change]:
    """The keys in which two configurations differ: the fixed ones, the acceptable, the free.

    `learned` says whether there is a checkpoint. As long as there is none, all that a logdir holds
    are episodes of random play: whatever steers learning is free, and so are the networks.
    """
    before, after = old.flat, new.flat
    found = [
        _classified(key, before.get(key), after.get(key), _levels(old) == _levels(new), learned)
        for key in sorted({*before, *after})
        if before.get(key) != after.get(key) and not _matches(UNMENTIONED, key)
    ]
    return sorted(found, key=lambda change: (not change.reason, not change.acceptable))


def as_lines(found: Sequence[Change]) -> list[str]:
    """One line for each change with what it takes, and one for those that are too many."""
    lines = []
    for change in found[:SHOWN_AT_MOST]:
        verdict = 'may change'
        if change.reason:
            verdict = f'never: it {change.reason}'
        elif change.acceptable:
            verdict = 'needs --accept_changes True'
        lines.append(f'  {change} ({verdict})')
    if len(found) > SHOWN_AT_MOST:
        lines.append(f'  and {len(found) - SHOWN_AT_MOST} more')
    return lines


def note(found: Sequence[Change]) -> str:
    """One line about the changes with which a run goes on."""
    listed = ', '.join(map(str, found[:SHOWN_AT_MOST]))
    more = len(found) - SHOWN_AT_MOST
    return f'Going on with changes: {listed}{f" and {more} more" if more > 0 else ""}.'


def refusal(path: str, found: Sequence[Change]) -> str:
    """One line about why a run does not go on, with the way out."""
    first, *others = [change for change in found if not change.free]
    more = f' ({len(others)} more {"differs" if len(others) == 1 else "differ"})' if others else ''
    ways = ['repeat its command to go on with it', 'choose another --logdir']
    if first.reason:
        ways[0] = f'{first.key} {first.reason} and cannot change. Repeat its command to go on'
    else:
        ways.append('go on with the changes by --accept_changes True')
    return (
        f'{printable(path, 200)} holds a run with {first.key} {shown(_plain(first.old))}, but '
        f'{shown(_plain(first.new))} is asked for{more}: '
        f'{", ".join(ways[:-1])}{"," if len(ways) > 2 else ""} or {ways[-1]}.'
    )


def recorded(found: Sequence[Change]) -> dict[str, list[Any]]:
    """The changes for the record: key -> old and new value."""
    return {change.key: [_plain(change.old), _plain(change.new)] for change in found}


def _classified(key: str, old: Any, new: Any, same_levels: bool, learned: bool) -> Change:
    free = FREE if learned else (*FREE, *ACCEPTABLE, *OF_LEARNING)
    if _matches(free, key) or (key.startswith('sets.') and same_levels):
        return Change(key, old, new)
    if _matches(ACCEPTABLE, key):
        return Change(key, old, new, acceptable=True)
    reasons = [reason for pattern, reason in FIXED.items() if re.fullmatch(pattern, key)]
    return Change(key, old, new, reason=reasons[0] if reasons else 'is not known to be safe')


def _matches(patterns: Sequence[str], key: str) -> bool:
    return any(re.fullmatch(pattern, key) for pattern in patterns)


def _levels(config: Config) -> tuple[str, ...] | None:
    """What the task stands for; None for an environment of the user's own."""
    try:
        return parse_task(config.task, task_sets(config)).names
    except UsageError:
        return None


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
