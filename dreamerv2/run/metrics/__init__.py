"""What is measured in a run, and where it is written: files, trackers, terminal, videos."""
