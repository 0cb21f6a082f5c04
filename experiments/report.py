"""Makes one HTML file of a study: its questions and answers, every figure, and where runs are from.

    python experiments/report.py ROOT [--out FILE]

The file needs nothing beside it and nothing from a network. Works on whatever runs are there.
"""

import sys

import clone  # noqa: F401  so that the package of this clone is used

from dreamerv2.analysis.report_command import main

if __name__ == '__main__':
    sys.exit(main())
