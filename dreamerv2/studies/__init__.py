"""Studies: which runs they consist of, in what order, where, and how far they are."""
