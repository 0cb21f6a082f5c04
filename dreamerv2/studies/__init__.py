"""Studies: their runs, the order in which and where they run, and their progress."""
