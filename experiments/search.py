"""Searches for the best setting: `python experiments/search.py SEARCH.yaml --logdir ROOT`.

Trains the settings of a space that Optuna suggests, each with every seed, and stops those that fall
behind. Stop it at any time and start it again. `--status` only shows the settings so far.
"""

import sys

import clone  # noqa: F401  so that the package of this clone is used

from dreamerv2.studies.search import main

if __name__ == '__main__':
    sys.exit(main())
