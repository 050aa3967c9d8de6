"""What a phase in training writes: checkpoints, metrics, the screen."""
