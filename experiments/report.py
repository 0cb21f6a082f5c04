"""Makes one HTML file of a study: questions and answers, every figure, and how runs were made.

    python experiments/report.py ROOT [--out FILE]

The file is self-contained and works offline. Works with whatever runs there are.
"""

import sys

import clone  # noqa: F401  so that the package of this clone is used

from dreamerv2.analysis.commands import report_main as main

if __name__ == '__main__':
    sys.exit(main())
