"""Damaged files of every format that the commands read: a right result or an error of n2b, nothing else."""
