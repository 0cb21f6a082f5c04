"""Trains one agent on each level: one stage of a study.

    python experiments/baseline.py experiments/mini.yaml --logdir ROOT [--seeds 0]

Takes the flags of `experiments/study.py`.
"""

import functools
import sys

from studies.command import run_study

from dreamerv2.exit_codes import exit_code_of

if __name__ == '__main__':
    run = functools.partial(run_study, stages=('baseline',))
    sys.exit(exit_code_of(run, None, 'Interrupted before anything was started.'))
