"""The signals that ask a run to stop in good order."""

import signal

# Ctrl-C, a batch system's end and a cluster's warning; not every system has the last.
STOP_SIGNALS = tuple(
    getattr(signal, name) for name in ('SIGINT', 'SIGTERM', 'SIGUSR1') if hasattr(signal, name)
)
