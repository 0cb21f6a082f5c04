"""Facts that figures are drawn against: the level sets of the thesis and random returns."""

from collections.abc import Sequence

# Sets of the thesis, section 5.3: two for pre-training, the levels of fine-tuning and of transfer.
LEVEL_SETS: dict[str, tuple[str, ...]] = {
    'e4': ('3-1', '3-2', '3-3', '3-4'),
    'e10': ('2-1', '2-4', '3-1', '3-2', '3-3', '3-4', '4-1', '4-2', '4-3', '4-4'),
    'ef': ('3-1', '3-2', '3-3', '3-4'),
    'etau': ('1-1', '1-2', '1-3', '1-4'),
}

# The reward of these levels can be collected without end (thesis, section 6.1).
FARMABLE_LEVELS = frozenset({'4-4'})

# Mean return of 20 episodes of a uniform random policy a level (repeat 4, sticky actions 0.2).
RANDOM_RETURN: dict[str, float] = {
    '1-1': 259.1,
    '1-2': 91.0,
    '1-3': 184.7,
    '1-4': 146.6,
    '2-1': 129.4,
    '2-4': 196.85,
    '3-1': 151.05,
    '3-2': 208.9,
    '3-3': 189.75,
    '3-4': 171.45,
    '4-1': 182.0,
    '4-2': 128.9,
    '4-3': 209.2,
    '4-4': 53.9,
}


def random_return(task: str, levels: Sequence[str]) -> float | None:
    """Mean return of the random policy over `levels` of a Mario task, None where one is unknown.

    Episodes draw their level uniformly, so every level weighs the same.
    """
    if not task.startswith('mario_') or not levels:
        return None
    known = [RANDOM_RETURN.get(level) for level in levels]
    values = [value for value in known if value is not None]
    return sum(values) / len(values) if len(values) == len(known) else None
