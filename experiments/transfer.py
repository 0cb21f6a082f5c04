"""Transfers the pre-trained agents to unseen levels: one stage of a study.

    python experiments/transfer.py experiments/mini.yaml --logdir ROOT [--seeds 0]

Each run starts from the pre-training run of its set and seed, which must be finished.
Takes the flags of `experiments/study.py`.
"""

import sys

import clone  # noqa: F401  so that the package of this clone is used

from dreamerv2.studies.command_line import main

if __name__ == '__main__':
    sys.exit(main(stages=['transfer']))
