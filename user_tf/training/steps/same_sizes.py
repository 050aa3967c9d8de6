"""Batches of one size for all replicas of a step."""

import tensorflow as tf

from data_pipeline.batching import spec


def pad_together(batches: tf.data.Dataset, replicas: int) -> tf.data.Dataset:
    """Return steps: the Batches of `replicas` replicas, padded to the largest and stacked.

    Args:
        batches: A Batch a replica, in order.
        replicas: Replicas of a step, R.

    Returns:
        Batches with a leading axis [R, ...].

    Example:
        >>> stream = tf.data.Dataset.from_generator(
        ...     lambda: iter([{"target_id": [7]}, {"target_id": [8, 9]}]),
        ...     output_signature={"target_id": tf.TensorSpec([None], tf.int64)})
        >>> next(iter(pad_together(stream, 2)))["target_id"].numpy().tolist()
        [[7, -1], [8, 9]]
    """
    padding = {
        name: tf.cast(spec.padding(name), tensor.dtype)
        for name, tensor in batches.element_spec.items()
    }
    return batches.padded_batch(replicas, padding_values=padding, drop_remainder=True)
