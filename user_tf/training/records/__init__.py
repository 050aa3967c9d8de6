"""Write checkpoints and reports of a phase in training."""
