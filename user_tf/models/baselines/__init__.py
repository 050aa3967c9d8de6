"""Provide the baselines of the paper, one file each, over the same Batch."""
