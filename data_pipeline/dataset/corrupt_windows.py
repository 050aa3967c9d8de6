"""Name the window file that cannot be read; TensorFlow's own message names none."""

import contextlib
from collections.abc import Iterator

import tensorflow as tf

from data_pipeline.dataset.dataset_folder import Dataset


@contextlib.contextmanager
def named_corruption(dataset: Dataset) -> Iterator[None]:
    """Turn TensorFlow's error about a corrupt record into one that names the file.

    Args:
        dataset: Opened dataset whose windows are read inside.

    Raises:
        ValueError: A record is cut or its checksum is wrong.
    """
    try:
        yield
    except tf.errors.DataLossError as error:
        names = [name for name in dataset.manifest["files"] if name.endswith(".tfrecord")]
        corrupt = next(filter(_is_corrupt, (str(dataset.path / name) for name in names)), "no file")
        raise ValueError(
            f"`dataset` must have windows that can be read. Got {corrupt}, which is corrupt. Fix: "
            "copy the dataset again, or run `python -m data_pipeline.prepare` with its settings."
        ) from error


def _is_corrupt(file: str) -> bool:
    try:
        for _ in tf.data.TFRecordDataset(file):
            pass
    except tf.errors.DataLossError:
        return True
    return False
