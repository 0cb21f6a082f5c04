"""Shows how far the runs of a study are: `python experiments/status.py ROOT [--watch] [--json]`."""

import sys

from studies.command import show_status

from dreamerv2.exit_codes import exit_code_of

if __name__ == '__main__':
    sys.exit(exit_code_of(show_status, None, 'Interrupted.'))
