"""Shows the progress of a study: `python experiments/status.py ROOT [--watch] [--json]`."""

import sys

import clone  # noqa: F401  so that the package of this clone is used

from dreamerv2.studies.command_line import status_main

if __name__ == '__main__':
    sys.exit(status_main())
