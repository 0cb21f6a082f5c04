"""What `scripts/bench.py` measures, a module for each; shared parts in the others."""
