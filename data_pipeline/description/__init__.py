"""The description of a dataset; front door: `dataset_page`."""
