"""Facts about the thesis's levels that figures are drawn against."""

# The reward of these levels can be collected by walking their loops until the clock ends (thesis,
# section 6.1, for 4-4): the return there does not tell how far an agent gets.
FARMABLE_LEVELS = frozenset({'4-4', '7-4', '8-4'})
