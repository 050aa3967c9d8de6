"""The page that describes a dataset; front door: `dataset_page`."""
