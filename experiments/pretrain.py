"""Pre-trains one agent on each set of levels: one stage of a study.

    python experiments/pretrain.py experiments/mini.yaml --logdir ROOT [--seeds 0]

Takes the flags of `experiments/study.py`.
"""

import sys

import clone  # noqa: F401  so that the package of this clone is used

from dreamerv2.studies.command_line import main

if __name__ == '__main__':
    sys.exit(main(stages=['pretrain']))
