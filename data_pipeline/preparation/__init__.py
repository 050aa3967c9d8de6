"""Preparation of a dataset; front door: `prepare_folder.prepare`."""
