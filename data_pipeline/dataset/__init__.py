"""The dataset folder: Parquet tables, windows in shards of tf.train.Example, and the click graph.

Front doors: `dataset_folder.open_dataset` and `window_shards.write_windows`.
"""
