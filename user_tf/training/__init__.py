"""Train the phases of a run."""
