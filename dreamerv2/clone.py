"""Imported by a script before anything else: Python then uses the package that the script is of.

`python dreamerv2/train.py` looks for modules in the script's folder, where `dreamerv2` is not, and
then among what is installed, which may be another copy of this package.
"""

import os
import sys

_FOLDER = os.path.dirname(os.path.realpath(__file__))
_ROOT = os.path.dirname(_FOLDER)
sys.path[:] = [_ROOT, *(path for path in sys.path if path not in (_FOLDER, _ROOT))]
