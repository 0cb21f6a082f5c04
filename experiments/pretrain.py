"""Pre-trains one agent on each set of levels: one stage of a study.

    python experiments/pretrain.py experiments/mini.yaml --logdir ROOT [--seeds 0]

Takes the flags of `experiments/study.py`.
"""

import functools
import sys

from studies.command import run_study

from dreamerv2.exit_codes import exit_code_of

if __name__ == '__main__':
    run = functools.partial(run_study, stages=('pretrain',))
    sys.exit(exit_code_of(run, None, 'Interrupted before anything was started.'))
