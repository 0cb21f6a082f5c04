"""Runs a whole study: `python experiments/study.py experiments/mini.yaml --logdir ROOT`.

Works out all runs and their dependencies, shows the plan, and runs what is not finished. Stop it at
any time and start it again. `--dry_run` only shows the plan; `experiments/status.py ROOT` shows the
progress, `experiments/figures.py ROOT` and `experiments/report.py ROOT` the results.
"""

import sys

import clone  # noqa: F401  so that the package of this clone is used

from dreamerv2.studies.command_line import main

if __name__ == '__main__':
    sys.exit(main())
