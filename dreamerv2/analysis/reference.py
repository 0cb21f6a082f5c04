"""Facts about the thesis's levels that figures are drawn against."""

# Sets of the thesis, section 5.3: two for pre-training, the levels of fine-tuning and of transfer.
LEVEL_SETS: dict[str, tuple[str, ...]] = {
    'e4': ('3-1', '3-2', '3-3', '3-4'),
    'e10': ('2-1', '2-4', '3-1', '3-2', '3-3', '3-4', '4-1', '4-2', '4-3', '4-4'),
    'ef': ('3-1', '3-2', '3-3', '3-4'),
    'etau': ('1-1', '1-2', '1-3', '1-4'),
}

# The reward of these levels can be collected by walking their loops until the clock ends (thesis,
# section 6.1, for 4-4): the return there does not tell how far an agent gets.
FARMABLE_LEVELS = frozenset({'4-4', '7-4', '8-4'})
