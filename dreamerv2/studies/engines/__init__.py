"""Where the runs of a study are run: this machine, a Ray cluster, or a Slurm cluster."""
