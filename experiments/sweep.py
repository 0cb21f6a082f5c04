"""Trains several tasks with several seeds; `scripts/sweep.sh` runs this in its environment."""

import sys

import clone  # noqa: F401  so that the package of this clone is used

from dreamerv2.studies.sweep import main

if __name__ == '__main__':
    sys.exit(main())
