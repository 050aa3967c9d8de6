"""Load a served model into this process, with the operations it needs."""

import pathlib
from typing import Any

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
