"""Random numbers that belong to a sample: row i depends on (seed, sample id, label) and on nothing else."""
