"""From an interval and a number of runs to the words that a sentence may use."""

# With fewer seeds than this an interval is too uncertain itself to decide anything.
ENOUGH_SEEDS = 5
UNDECIDED = 'not distinguishable at this n'


def verdict(low: float, high: float, nothing: float) -> str:
    """`better`, `worse` or `not distinguishable at this n`.

    Which one depends on where the interval lies: above `nothing`, the value of no difference,
    below it, or around it. NaN bounds decide nothing.
    """
    if low > nothing:
        return 'better'
    return 'worse' if high < nothing else UNDECIDED


def reservation(n: int) -> str:
    """`; indication only` below five seeds, else nothing."""
    return '; indication only' if n < ENOUGH_SEEDS else ''
