"""The dataset folder: tables, windows, shards; front door: `dataset_folder.open_dataset`."""
