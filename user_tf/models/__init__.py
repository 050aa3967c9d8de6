"""Rankers: models from a Batch to scores."""
