"""Shows how far the runs of a study are: `python experiments/status.py ROOT [--watch] [--json]`."""

import sys

import clone  # noqa: F401

from dreamerv2.studies.command_line import status_main

if __name__ == '__main__':
    sys.exit(status_main())
