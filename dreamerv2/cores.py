"""How many processor cores this process may use."""

import os


def usable_cores() -> int:
    """Cores that are allowed to this process: on a cluster often few of the machine's.

    A limit on processor time, as containers have it, does not show here.
    """
    if hasattr(os, 'sched_getaffinity'):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
