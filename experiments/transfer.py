"""Trains the pre-trained agents on levels that they have not seen: one stage of a study.

    python experiments/transfer.py experiments/mini.yaml --logdir ROOT [--seeds 0]

Each run starts from the pre-training run of its set and seed, which must be finished.
Takes the flags of `experiments/study.py`.
"""

import functools
import sys

from studies.command import run_study

from dreamerv2.exit_codes import exit_code_of

if __name__ == '__main__':
    run = functools.partial(run_study, stages=('transfer',))
    sys.exit(exit_code_of(run, None, 'Interrupted before anything was started.'))
