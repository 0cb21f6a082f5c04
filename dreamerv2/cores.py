"""How many processor cores this process may use."""

import os


def usable_cores() -> int:
    """Cores that this process may use; on a cluster often only some of the machine's.

    A container's limit on CPU time is not included.
    """
    if hasattr(os, 'sched_getaffinity'):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
