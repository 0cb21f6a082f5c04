"""What all tests need."""

import signal

# A shell that starts the tests in the background has them ignore Ctrl-C, and all their children
# too; those that press Ctrl-C need what a terminal gives.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # Ignored under `nohup`, and by its children too.
