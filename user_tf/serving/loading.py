"""Load a served model into this process, with the operations it needs."""

import pathlib
from collections.abc import Mapping
from typing import Any

import numpy.typing as npt

from user_tf.serving import layout


def load(version: pathlib.Path) -> Any:
    """Return the loaded SavedModel of a version.

    Args:
        version: Folder DIR/<version>.

    Raises:
        ImportError: The model splits texts into wordpieces and TensorFlow Text is not installed.
    """
    import tensorflow as tf

    if layout.needs_tensorflow_text(version):
        from data_pipeline.text.wordpiece import need_tensorflow_text

        need_tensorflow_text()
    return tf.saved_model.load(version)


def as_tensors(arrays: Mapping[str, npt.NDArray[Any]]) -> dict[str, Any]:
    """Return the arguments of a signature as tensors; arrays of dtype object hold strings."""
    import tensorflow as tf

    return {
        name: tf.constant(
            value.tolist(), tf.string if value.dtype == object else value.dtype, value.shape
        )
        for name, value in arrays.items()
    }
