"""Trains several tasks with several seeds; `scripts/sweep.sh` is this in its environment."""

import sys

from studies.sweep import run_sweep

from dreamerv2.exit_codes import exit_code_of

if __name__ == '__main__':
    sys.exit(exit_code_of(run_sweep, None, 'Interrupted before anything was started.'))
