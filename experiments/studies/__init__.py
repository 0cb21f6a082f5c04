"""Studies: which runs they consist of, in what order, where, and how far they are."""

import pathlib
import runpy

runpy.run_path(str(pathlib.Path(__file__).resolve().parents[2] / 'dreamerv2' / 'clone.py'))
