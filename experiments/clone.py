"""Imported by a command before anything else, so that Python uses the package of this clone."""

import pathlib
import runpy

runpy.run_path(str(pathlib.Path(__file__).resolve().parents[1] / 'dreamerv2' / 'clone.py'))
