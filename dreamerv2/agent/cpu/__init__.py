"""Acting and updating as processors do it fastest: the same actions, the same updates."""
