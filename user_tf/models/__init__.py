"""Provide rankers: models from a Batch to one score for each candidate."""
