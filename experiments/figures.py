"""Makes the figures of the thesis, and the numbers behind them, from the logdirs under a folder.

    python experiments/figures.py ROOT [--out DIR] [--figures 3 5 7 transfer_matrix]

Each figure becomes a PNG, an SVG and a CSV; `scores.csv` and `answers.txt` hold the answers to the
study's questions, `runs.txt` what is missing. Works with whatever runs there are.
"""

import sys

import clone  # noqa: F401  so that the package of this clone is used

from dreamerv2.analysis.commands import figures_main as main

if __name__ == '__main__':
    sys.exit(main())
