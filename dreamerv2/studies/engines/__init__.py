"""Where the runs of a study are executed: this machine, a Ray cluster, or a Slurm cluster."""
