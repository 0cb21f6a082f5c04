"""Writes a world model's reconstructions of a level.

    python experiments/reconstruct.py LOGDIR --task mario_1-1

The output is `reconstructions.npz` in the logdir, from which `experiments/figures.py` draws figure
8.
"""

import sys

import clone  # noqa: F401  so that the package of this clone is used

from dreamerv2.studies.reconstruct import main

if __name__ == '__main__':
    sys.exit(main())
