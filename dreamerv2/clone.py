"""Imported by a script before anything else, so that Python uses the script's own package.

`python dreamerv2/train.py` looks for modules in the script's folder, which does not contain
`dreamerv2`, and then among the installed packages, which may include another copy of it.
"""

import os
import sys

_FOLDER = os.path.dirname(os.path.realpath(__file__))
_ROOT = os.path.dirname(_FOLDER)
sys.path[:] = [_ROOT, *(path for path in sys.path if path not in (_FOLDER, _ROOT))]
