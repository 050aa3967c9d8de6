"""Preparation of a dataset; front door: `pipeline.prepare_dataset`."""
